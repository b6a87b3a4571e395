"""The thread of a driver that shows that it lives, and hears when it is asked to stop."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from sweeper.errors import StoreError
from sweeper.store.drivers import BEAT_SECONDS, Driver

log = logging.getLogger("sweeper")


@contextlib.contextmanager
def beating(
    driver: Driver, on_stop: Callable[[str], None], every: float = BEAT_SECONDS
) -> Iterator[None]:
    """Show a driver's heartbeat while the ``with`` block lasts, and its end thereafter.

    Args:
        driver: Whose heartbeat it is.
        on_stop: Called, from another thread and maybe again, with why the driver is to stop.
        every: Seconds between two beats.
    """
    over = threading.Event()

    def beat() -> None:
        with _logged():
            driver.beat()
            why = driver.asked_to_stop()
            if why:
                on_stop(why)

    def keep_beating() -> None:
        while not over.wait(every):
            beat()

    beat()  # before the first lease, whose owner must be seen to live
    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with _logged():
            driver.end()


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """A heartbeat that cannot be written costs work at most: others take this driver for dead."""
    try:
        yield
    except StoreError as error:
        log.warning("no heartbeat: %s", error)
