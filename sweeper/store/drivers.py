"""The drivers of a store: each shows a heartbeat, and the others see by it whether it lives.

``drivers/<driver>.json`` is replaced every few seconds with a counter one higher. Who looks
measures by a clock of their own for how long the counter has stood still: the clocks of two
hosts are never compared.
"""

from __future__ import annotations

import functools
import os
import platform
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles

BEAT_SECONDS = 5.0
"""How often a driver shows that it lives."""

PATIENCE_SECONDS = 30.0
"""For how long a heartbeat may stand still before its driver counts as dead."""

_READ_SECONDS = 1.0


class Driver:
    """This process as the driver of a sweep: its name, and the heartbeat that it shows.

    Args:
        files: The store.
        study: The name of the study that it runs.
        plan: What tells this study from others of its name (one without limits, say).
        part: The part of it that was asked for alone, as `sweeper.scope.Scope` has it.

    Attributes:
        id: Its name in ``drivers/``, in leases, and in that of its stop marker.
        running: Job key -> the attempt at it: ``attempt``, ``host`` ("" before a worker has it),
            ``phase``, ``step``, ``steps``, ``since`` (this host's clock).
        slots: How many jobs can run at once.
        why: Why it stops early, if it does.
    """

    def __init__(
        self,
        files: StoreFiles,
        study: str,
        plan: str = "",
        part: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.files = files
        self.study = study
        self.plan = plan
        self.part = {name: list(said) for name, said in (part or {}).items() if said}
        self.id = uuid.uuid4().hex
        self.running: dict[str, dict[str, Any]] = {}
        self.slots = 0
        self.why = ""
        self._started = time.time()
        self._beat = 0

    @property
    def stop_marker(self) -> str:
        """The file whose being there asks this driver and its workers to save and end."""
        return stop_marker(self.id)

    def beat(self) -> None:
        """Show that this driver lives, and what it runs.

        Raises:
            StoreError: the store cannot be written.
        """
        self._write(ended=False)

    def end(self) -> None:
        """Say that this driver is done with its sweep; raises as `beat`."""
        self.running = {}
        self._write(ended=True)

    def _write(self, ended: bool) -> None:
        self._beat += 1
        heartbeat = {
            "driver": self.id,
            "study": self.study,
            "plan": self.plan,
            "part": self.part,
            "host": platform.node(),
            "machine": machine(),
            "pid": os.getpid(),
            "pid_started": process_start(os.getpid()),
            "beat": self._beat,
            "started": self._started,
            "now": time.time(),
            "slots": self.slots,
            "running": self.running.copy(),  # the dispatcher writes to it from another thread
            "why": self.why,
            "ended": ended,
        }
        self.files.replace(f"drivers/{self.id}.json", heartbeat)

    def show(
        self,
        key: str,
        attempt: str,
        host: str = "",
        phase: str = "",
        step: int = 0,
        steps: int = 0,
    ) -> None:
        """Say with the next beat how far an attempt at a job is; ``running`` has what each means.

        It is replaced whole: the thread that beats may read it at any moment.
        """
        known = self.running.get(key)
        self.running[key] = {
            "attempt": attempt,
            "host": host,
            "phase": phase,
            "step": step,
            "steps": steps,
            "since": known["since"] if known and known["phase"] else time.time(),
        }

    def asked_to_stop(self) -> str:
        """Why this driver is to stop, if someone asked it to; else ""."""
        if not self.files.exists(self.stop_marker):
            return ""
        return str(self.files.read(self.stop_marker)["why"])


def stop_marker(driver: str) -> str:
    """Where a driver is asked to save and end."""
    return f"stops/{driver}.json"


@dataclass
class Seen:
    """A driver as it is seen by another process.

    Attributes:
        heartbeat: What it last showed (see `Driver`); empty if it never did.
        changed: When its counter was last seen to change, by the observer's clock.
        moved: Whether that was ever seen; before, ``changed`` is when it was first looked at.
        read: When it was last read.
    """

    driver: str
    heartbeat: dict[str, Any]
    changed: float
    moved: bool = False
    read: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether it said that it ended."""
        return bool(self.heartbeat.get("ended"))

    @property
    def gone(self) -> bool:
        """Whether it was a process of this very machine, and is no more."""
        said = self.heartbeat
        if not said or not said["machine"] or said["machine"] != machine():
            return False
        start, then = process_start(said["pid"]), said["pid_started"]
        return start == "" or (start != then and None not in (start, then))


class Drivers:
    """The drivers of a store as this process sees them.

    Args:
        files: The store.
        patience: Seconds (by this process's clock) of a heartbeat's standing still after which
            its driver counts as dead.
        clock: This process's clock, for tests.
    """

    def __init__(
        self,
        files: StoreFiles,
        *,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.files = files
        self.patience = patience
        self.clock = clock
        self._seen: dict[str, Seen] = {}

    def look(self, driver: str) -> Seen:
        """A driver as it is now; its heartbeat is read at most once per second."""
        seen = self._seen.get(driver)
        now = self.clock()
        if seen is None:
            seen = self._seen[driver] = Seen(driver, self._read(driver), now, read=now)
        elif not seen.ended and now - seen.read >= self._pause(seen):
            seen.read = now
            heartbeat = self._read(driver)
            if heartbeat.get("beat", 0) != seen.heartbeat.get("beat", 0):
                seen.heartbeat, seen.changed, seen.moved = heartbeat, now, True
        return seen

    def alive(self, driver: str) -> bool:
        """Whether a driver counts as alive: not ended, not gone, its heartbeat seen to move."""
        return self.lives(self.look(driver))

    def lives(self, seen: Seen) -> bool:
        """The same of a driver that was just looked at."""
        return not seen.ended and not seen.gone and not self._silent(seen)

    def all(self) -> list[Seen]:
        """Every driver that the store knows of, the latest started first."""
        names = [name.removesuffix(".json") for name in self.files.names("drivers")]
        found = [self.look(name) for name in names]
        return sorted(found, key=lambda seen: -seen.heartbeat.get("started", 0.0))

    def living(self) -> list[Seen]:
        """Those that count as alive."""
        return [seen for seen in self.all() if self.lives(seen)]

    def _silent(self, seen: Seen) -> bool:
        return self.clock() - seen.changed >= self.patience

    def _pause(self, seen: Seen) -> float:
        # One that was killed on another host never says so: it is not read again and again.
        dead = seen.read - seen.changed >= self.patience
        return self.patience / 2 if dead else _READ_SECONDS

    def _read(self, driver: str) -> dict[str, Any]:
        """A heartbeat; empty where it cannot be read, which only time can tell from death."""
        try:
            return self.files.read(f"drivers/{driver}.json")
        except StoreError:
            return {}


@functools.cache
def machine() -> str:
    """What names this machine, and the process numbers that count on it; "" if unknown.

    A host's name does not: containers may share it, and have process numbers of their own.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """When a process of this machine started, in clock ticks since boot.

    "" if there is none of that number any more (a zombie is none), None if that cannot be told.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:  # another user's: there, and what follows may be hidden from us
        pass
    try:
        # The name may hold spaces and brackets: the fields are counted from behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]
