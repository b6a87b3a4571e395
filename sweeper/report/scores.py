"""The scores of a folder of predictions, for a terminal and as CSV."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from sweeper.analysis.aggregates import BENCHMARKS
from sweeper.report.cells import limit_notes
from sweeper.report.layout import MANIFEST
from sweeper.report.submitted import FolderScores, LeftOut
from sweeper.report.terminal import say, table


def print_scores(out: Console, scored: FolderScores) -> None:
    """A line per task, split and metric: mean over its languages, and each language's value.

    Below it what a reader must know: limits, notes on files, and what was not scored and why.
    """
    if scored.files:
        say(out, f"Scores of {scored.folder}, percent", "bold")
        out.print()
        _print_table(out, scored)
        out.print()
    _print_notes(out, scored)
    for left in scored.left_out:
        say(out, f"- not scored: {_reason(scored, left)}", "red")


def _print_table(out: Console, scored: FolderScores) -> None:
    made = table("task", "split", "metric", "mean", "per language", right=(3,))
    groups: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for row in scored.rows():
        place = (row["task"], row["split"], row["metric"])
        groups.setdefault(place, []).append((row["language"], row["value"]))
    for place, values in groups.items():
        mean = statistics.fmean(value for _, value in values)
        each = " ".join(f"{code} {value:.1f}" for code, value in values)
        made.add_row(*map(Text, place), Text(f"{mean:.2f}"), Text(each))
    out.print(made)


def _print_notes(out: Console, scored: FolderScores) -> None:
    limits = {f"{one.task}/{one.split}": one.limit for one in scored.files if one.limit}
    for said in [*_origins(scored), *limit_notes(limits)]:
        say(out, f"- {said}", "yellow")
    for one in scored.files:
        for note in one.notes:
            say(out, f"- {one.task}/{one.split}/{one.language}: {note}.", "yellow")
    for of in BENCHMARKS.values():
        means = scored.averages(of).values
        if means:
            said = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
            say(out, f"- {of.name}, over all languages, QA as (EM + F1) / 2: {said}", "dim")
    if scored.files:
        say(
            out,
            "- An average of a benchmark is shown only where all its members are there.",
            "dim",
        )


def _origins(scored: FolderScores) -> Iterator[str]:
    """Whose predictions these are, as far as `predictions.json` says."""
    made: dict[str, list[str]] = {}
    shared: dict[str, list[str]] = {}
    for target, one in scored.told.items():
        who = f"{one.intermediate}, seed {one.seed}, of the study {one.study}"
        made.setdefault(who, []).append(target)
        for flag in one.overlap:
            shared.setdefault(flag, []).append(target)
    for who, targets in made.items():
        yield f"{', '.join(targets)}: predictions of {who}."
    for flag, targets in shared.items():
        yield f"{', '.join(targets)}: {flag}."
    known = {name for one in scored.told.values() for name in one.files}
    lost = [one.file for one in scored.files if one.file not in known]
    if scored.told and lost:
        yield f"{MANIFEST} does not say whose these are: {', '.join(lost)}."


def _reason(scored: FolderScores, left: LeftOut) -> str:
    """Why files were not scored, beginning with their names."""
    reason = left.reason.removeprefix(f"{scored.folder}/")
    if reason.startswith(left.files[0]):
        return reason
    return f"{', '.join(left.files)}: {reason}"


def csv_of(scored: FolderScores) -> bytes:
    """A row per file and metric."""
    buffer = io.StringIO()
    names = ["task", "split", "language", "metric", "value", "n", "main", "notes"]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(scored.rows())
    return buffer.getvalue().encode()
