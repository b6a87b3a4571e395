"""The averages by which XTREME and XTREME-R sum up tasks.

Two "averages" circulate for XTREME: the mean over its nine tasks (the leaderboard's) and the mean
over its four categories (some papers'). Both are given, and only where all members are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeper.errors import DataError, suggest

CATEGORIES = ("classification", "tagging", "qa", "retrieval")
"""The groups whose mean is the other average; XTREME-R's XCOPA is in one of them, too."""

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]
"""task -> language -> metric -> percent."""


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PANX = (
    "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko th "
    "sw yo my zh kk tr et fi hu"
)
_UDPOS = (
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi "
    "yo zh"
)
_TATOEBA = (
    "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw zh "
    "kk tr et fi hu"
)
_XNLI = _codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
_XQUAD = "en es de el ru tr ar vi th zh hi"
_MLQA = _codes("en es de ar hi vi zh")
_TYDIQA = _codes("en ar bn fi id ko ru sw te")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its tasks with their languages, and its groups of tasks.

    ``unscored`` are tasks that belong to the whole, but which the official code cannot score: it
    never gives the benchmark's mean.
    """

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    unscored: tuple[str, ...] = ()


XTREME = Benchmark(
    "xtreme",
    {
        "pawsx": _codes("de en es fr ja ko zh"),
        "xnli": _XNLI,
        "panx": _codes(_PANX),
        "udpos": _codes(_UDPOS),
        "bucc2018": _codes("de fr ru zh"),
        "tatoeba": _codes(_TATOEBA),
        "xquad": _codes(_XQUAD),
        "mlqa": _MLQA,
        "tydiqa": _TYDIQA,
    },
    {
        "classification": ("pawsx", "xnli"),
        "tagging": ("panx", "udpos"),
        "qa": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("bucc2018", "tatoeba"),
    },
)

XTREME_R = Benchmark(
    "xtreme-r",
    {
        "xnli": _XNLI,
        "panx": _codes(f"{_PANX} qu pl uk az lt pa gu ro"),
        "udpos": _codes(f"{_UDPOS} lt pl uk wo ro"),
        "tatoeba": _codes(f"{_TATOEBA} az lt pl uk ro"),
        "xcopa": _codes("et ht id it qu sw ta th tr vi zh"),
        "mewslix": _codes("ar de en es fa ja pl ro ta tr uk"),
        "xquad": _codes(f"{_XQUAD} ro"),
        "mlqa": _MLQA,
        "tydiqa": _TYDIQA,
    },
    {
        "classification": ("xnli", "xcopa"),
        "tagging": ("panx", "udpos"),
        "qa": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("tatoeba", "mewslix"),
        "multi_choice": ("xcopa",),
    },
    unscored=("lareqa",),
)


@dataclass(frozen=True)
class Summary:
    """The averages of a set of scores; None where a member is missing.

    Attributes:
        tasks: task -> ``avg_<metric>`` of each metric, and ``avg_metric``.
        groups: group -> mean of its tasks, for complete groups only.
        all_task: mean over the benchmark's tasks (nine in XTREME).
        categories: mean over the four `CATEGORIES`.
    """

    tasks: dict[str, dict[str, float]]
    groups: dict[str, float]
    all_task: float | None
    categories: float | None


def summary(scores: Scores, benchmark: Benchmark = XTREME) -> Summary:
    """All averages of ``scores``: means over languages, then over tasks.

    Raises:
        DataError: a task that is there lacks a language, as the official script does not accept,
            or is none of the benchmark's.
    """
    tasks = {}
    for task, languages in scores.items():
        codes = _wanted(task, scores, benchmark)
        tasks[task] = task_means(task, {code: languages[code] for code in codes})
    groups = {}
    for name, members in benchmark.groups.items():
        found = mean_if_all(task_value(tasks, member) for member in members)
        if found is not None:
            groups[name] = found
    everything = (*benchmark.languages, *benchmark.unscored)
    whole = mean_if_all(task_value(tasks, task) for task in everything)
    return Summary(tasks, groups, whole, mean_if_all(map(groups.get, CATEGORIES)))


def _wanted(task: str, scores: Scores, benchmark: Benchmark) -> tuple[str, ...]:
    if task not in benchmark.languages:
        raise DataError(
            f"{benchmark.name} has no task {task!r} that can be averaged."
            f"{suggest(task, benchmark.languages)}"
        )
    for code in benchmark.languages[task]:
        if code not in scores[task]:
            raise DataError(
                f"An average of {benchmark.name} needs every language of a task; {task} lacks "
                f"{code} (the file {task}/test-{code}.{_ending(task)}). Score it, or leave the "
                "task out."
            )
    return benchmark.languages[task]


def _ending(task: str) -> str:
    if task == "xcopa":
        return "jsonl"
    return "json" if task in ("xquad", "mlqa", "tydiqa", "mewslix") else "tsv"


def task_means(task: str, languages: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over the languages, and ``avg_metric``, which stands for the task.

    That is the mean of exact match and F1 for QA, else F1, else accuracy, else mAP@20.

    Raises:
        DataError: there is none of these.
    """
    first = next(iter(languages.values()))
    means = {
        f"avg_{metric}": sum(one[metric] for one in languages.values()) / len(languages)
        for metric in first
        if all(metric in one for one in languages.values())
    }
    if "avg_exact_match" in means and "avg_f1" in means:
        return {**means, "avg_metric": (means["avg_exact_match"] + means["avg_f1"]) / 2}
    for metric in ("avg_f1", "avg_accuracy", "avg_map@20"):
        if metric in means:
            return {**means, "avg_metric": means[metric]}
    raise DataError(
        f"A task is averaged by exact match and F1, by f1, accuracy or map@20; {task} has only "
        f"{', '.join(first) or 'nothing'}."
    )


def task_value(tasks: Mapping[str, Mapping[str, float]], task: str) -> float | None:
    """The ``avg_metric`` of a task, if it is there."""
    return tasks[task]["avg_metric"] if task in tasks else None


def mean_if_all(values: Iterable[float | None]) -> float | None:
    """The mean, or None if any value is missing (or there is none)."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None
