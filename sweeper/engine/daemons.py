"""Ray's daemons where this process starts them: kept from its signals, missed when they die."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator

log = logging.getLogger("sweeper")

LOOK_SECONDS = 1.0


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """What is started in the ``with`` block is in a process group of its own.

    `timeout` and some job schedulers send SIGTERM to the whole group of what they started. Ray's
    daemons would die of it at once, and the workers with them, before they have saved.
    """
    group = os.getpgrp()
    if group == os.getpid():  # its leader: whoever starts a group for us leaves no other way
        yield
        return
    os.setpgid(0, 0)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError, ProcessLookupError):  # the others are gone
            os.setpgid(0, group)


@contextlib.contextmanager
def missed(address: str) -> Iterator[None]:
    """End this process if Ray at ``address`` ends before the ``with`` block does.

    There is no way on without it: Ray would try to reach itself for a minute, deaf to signals,
    and then abort.
    """
    host, _, port = address.rpartition(":")
    over = threading.Event()

    def listens() -> bool:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except ConnectionRefusedError:
            return False
        except OSError as error:  # too busy to answer, or we are
            log.warning("Ray at %s: %s", address, error)
        return True

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if listens() or over.is_set():
                continue
            print(  # noqa: T201  (nothing else will be said)
                "\nerror: Ray's own processes were ended, and nothing goes on without them. What "
                "is committed is safe: start the same run again.",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)

    threading.Thread(target=look, name="ray-watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()
