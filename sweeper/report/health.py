"""Findings of `doctor`, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sweeper.health.findings import NOTE, OK, WRONG, Finding
from sweeper.report.terminal import say

_STYLES = {OK: "green", NOTE: "yellow", WRONG: "bold red"}


def print_findings(out: Console, findings: Sequence[Finding]) -> None:
    """A line per finding, and under it what to do; what would stop a run comes last."""
    for state in (OK, NOTE, WRONG):
        for finding in findings:
            if finding.state != state:
                continue
            where = f" on {finding.where}" if finding.where else ""
            say(out, f"{state:5} {finding.check}{where}: {finding.said}", _STYLES[state])
            if finding.fix:
                say(out, f"      {finding.fix}")
    count = sum(finding.state == WRONG for finding in findings)
    out.print()
    say(out, f"{count} would stop a run." if count else "Nothing would stop a run.")
