"""Ctrl-C and SIGTERM to a driver."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

from sweeper.engine.dispatch import Dispatcher


@contextlib.contextmanager
def interruptible(dispatcher: Dispatcher) -> Iterator[None]:
    """Ctrl-C (or SIGTERM): the first saves what runs and stops, the second kills."""

    def first(number: int, frame: Any) -> None:
        name = signal.Signals(number).name
        dispatcher.stop(f"stopped by {name}")
        print(  # noqa: T201  (the person at the keyboard waits for an answer)
            f"\n{name}: saving what runs, then stopping. Once more to kill it.", file=sys.stderr
        )
        signal.signal(number, second)

    def second(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    old = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not the main thread: the caller's to handle
                old[number] = signal.signal(number, first)
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
