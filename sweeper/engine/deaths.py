"""What Ray says of a worker that vanished, as a class of error and a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """Why a worker ended without a last word; ``preempted``: it or its host was taken away."""

    message: str = "killed, or out of memory"
    preempted: bool = False


def death_of(text: str, *, preempted: bool = False) -> Death:
    """The death that the text of Ray's error tells of.

    Args:
        text: As Tune writes it: a heading, then the error with its traceback, if it has one.
        preempted: Whether Ray knows that the worker's host was preempted; it then says no more.
    """
    lines = [_COLOURS.sub("", line).strip() for line in text.splitlines()[1:]]
    lines = [line for line in lines if line]
    whole = " ".join(lines)
    node = re.search(r"the actor's (node was .*)", whole)
    if preempted or node or "its node has died" in whole:
        return Death(f"its {node[1]}" if node else "its host was taken away", preempted=True)
    if "receives a SIGTERM" in whole:  # before it listened for it
        return Death("SIGTERM", preempted=True)
    if "running low on memory" in whole:
        return Death("its host ran low on memory, and Ray ended it")
    if "raised in its creation task" in whole:
        return Death(f"it could not be started: {lines[-1]}")
    if not lines or "Worker exit type" in whole:
        return Death()
    return Death(lines[-1])


_COLOURS = re.compile(r"\x1b\[\d+m")
