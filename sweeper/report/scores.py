"""The scores of a folder of predictions, for a terminal and as CSV."""

from __future__ import annotations

import csv
import io
import statistics

from rich.console import Console
from rich.text import Text

from sweeper.analysis.aggregates import BENCHMARKS
from sweeper.report.submitted import FolderScores
from sweeper.report.terminal import say, table


def print_scores(out: Console, scored: FolderScores) -> None:
    """A line per task, split and metric: mean over its languages, and each language's value."""
    say(out, f"Scores of {scored.folder}, percent", "bold")
    out.print()
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
    out.print()
    for one in (one for one in scored.files if one.limit is not None):
        say(out, f"- {one.task}/{one.split}/{one.language}: the first {one.n} examples only, as "
            "the study's limits had it.", "dim")  # fmt: skip
    for one in (one for one in scored.files if one.left_out):
        say(out, f"- {one.task}/{one.split}/{one.language}: without {one.left_out} broken rows of "
            "the data, as the study had it.", "dim")  # fmt: skip
    for of in BENCHMARKS.values():
        means = scored.averages(of).values
        if means:
            said = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
            say(out, f"- {of.name}, over all languages, QA as (EM + F1) / 2: {said}", "dim")
    say(out, "- An average of a benchmark is shown only where all its members are there.", "dim")


def csv_of(scored: FolderScores) -> bytes:
    """A row per file and metric."""
    buffer = io.StringIO()
    names = ["task", "split", "language", "metric", "value", "n", "main"]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(scored.rows())
    return buffer.getvalue().encode()
