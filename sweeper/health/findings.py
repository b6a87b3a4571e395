"""What was looked at, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

OK = "ok"
NOTE = "note"
WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One look at one thing.

    Attributes:
        check: What was looked at: ``address``, ``token``, ``versions``, ``GPUs``, ``store``,
            ``exclusive``, ``clock``, ``data``, ``model``, ``hub``, ``disk``, ``study``.
        where: The host, or "" for what is of none.
        state: ``ok``; ``note``: it would run, but you may not like how; ``wrong``: it would not.
        said: What is so.
        fix: What to do; "" where nothing is to be done.
    """

    check: str
    where: str
    state: str
    said: str
    fix: str = ""


def wrong(findings: list[Finding]) -> bool:
    """Whether anything would stop a run."""
    return any(finding.state == WRONG for finding in findings)
