"""What a sweep tells those who watch it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger("sweeper")


@dataclass(frozen=True)
class Event:
    """Something that a person watching would want to know."""

    what: str  # started, progress, done, diverged, pruned, retry, failed, elsewhere
    key: str
    message: str = ""
    step: int = 0
    steps: int = 0
    seconds: float = 0.0


def log_event(event: Event) -> None:
    """The listener where nobody watches."""
    if event.what in ("done", "diverged", "pruned", "retry", "failed"):
        level = logging.INFO if event.what == "done" else logging.WARNING
        log.log(level, "%s %s %s", event.what, event.key, event.message)
