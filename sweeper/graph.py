"""The plan as a graph: jobs, what each needs, the searches and the cells of the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sweeper.spaces import Space
from sweeper.study import CONTROL, Selection, Stage, Study, Target
from sweeper.tasks import kinds
from sweeper.tasks.card import Card
from sweeper.tasks.overlaps import Overlaps

BASE = "train/base"
TOKENIZER = "prepare/tokenizer"

SELECTED = "selected"
"""The weights that the matrix shows: those that a selection split picked, or all there are."""


@dataclass(frozen=True)
class Job:
    """A unit of work. ``declared`` is what the study says of it, by keys and names alone.

    ``cost`` is in training examples (one forward and backward pass each), an estimate that only
    orders the work and predicts its time.
    """

    key: str
    kind: str
    needs: tuple[str, ...]
    declared: Mapping[str, Any]
    cost: float
    intermediate: str = ""
    target: str = ""
    seed: int | None = None
    trial: int | None = None


@dataclass(frozen=True)
class Search:
    """The trials of an intermediate, a training task and a seed: most often one Optuna study.

    Those of a ``stage`` of the intermediate look for the settings of that job; all others are
    trained after it, for targets.

    Where it ``follows`` another search it has none of its own: there is one trial per selection
    split, with the parameters that won there by that split.
    """

    key: str
    intermediate: str
    training_task: str
    seed: int
    space: Space
    trials: tuple[str, ...]
    selections: tuple[str, ...]
    follows: str = ""
    stage: str = ""

    def trials_for(self, selection: str) -> tuple[str, ...]:
        """The trials among which a selection split picks."""
        if not self.follows:
            return self.trials
        return (self.trials[self.selections.index(selection)],)


@dataclass(frozen=True)
class Cell:
    """A target's scores on one seed of a row: the score job that brings them.

    ``weights`` are `SELECTED`, or what the study asks for beside these (`Study.checkpoints`).
    """

    intermediate: str
    target: str
    seed: int
    score: str
    weights: str = SELECTED


@dataclass
class Plan:
    """All jobs of a study, parents before children.

    ``cells`` are those of the matrix; ``beside`` has their winners' other checkpoints.
    """

    study: Study
    cards: dict[str, Card]
    targets: dict[str, Target]
    jobs: dict[str, Job] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    beside: list[Cell] = field(default_factory=list)
    checkpoint_bytes: int | None = None

    @cached_property
    def overlaps(self) -> Overlaps:
        """What the study's tasks share."""
        return Overlaps(self.cards)

    @property
    def rows(self) -> list[str]:
        """The intermediates, the control first."""
        return [CONTROL, *self.study.intermediates]

    @property
    def columns(self) -> list[str]:
        """The targets."""
        return list(self.study.targets)

    def selection_of(self, target: str) -> str:
        """The name of the selection split of a trained target."""
        selection = self.targets[target].selection
        assert selection is not None
        return selection_name(selection)

    def stage_selection(self, stage: Stage) -> Selection:
        """Where a stage's own search picks its winner: what is said, or its task's dev."""
        task = stage.tasks[0]
        if stage.selection:
            return stage.selection.model_copy(update={"task": stage.selection.task or task})
        return Selection(task=task, split="dev", language=self.training_languages(task)[0])

    def training_languages(self, task: str) -> tuple[str, ...]:
        """The languages that a task is trained on: the study's choice, or all of the split."""
        said = self.study.train_languages.get(task)
        return said or self.cards[task].splits["train"].languages

    def trained_languages(self, target: str) -> tuple[str, ...]:
        """The languages of the data that a target is trained on; none for a retrieval target."""
        task = self.targets[target].training_task
        return self.training_languages(task) if task else ()

    def limit(self, task: str, split: str) -> int | None:
        """How many first examples of a split are used, None for all; see `Kind.limited`."""
        limited = kinds.get(self.cards[task].kind).limited(split)
        return self.study.limit(task, split) if limited else None

    def data(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """The task, split and languages of everything that is read, a tokenizer's text too."""
        found: dict[tuple[str, str], set[str]] = {}
        for job in self.jobs.values():
            if job.kind == "prepare":
                said = job.declared if job.declared["do"] == "data" else job.declared["text"]
                found.setdefault((said["task"], said["split"]), set()).update(said["languages"])
        return [(task, split, tuple(sorted(codes))) for (task, split), codes in found.items()]

    def limits(self) -> dict[str, int]:
        """``task/split`` -> how many first examples of a language are used.

        Only where that leaves some out, as far as the card knows how many there are.
        """
        found = {}
        for task, split, codes in self.data():
            limit = self.limit(task, split)
            counts = [self.cards[task].splits[split].rows_in(code) for code in codes]
            if limit is not None and any(count is None or count > limit for count in counts):
                found[f"{task}/{split}"] = limit
        return found

    def children(self) -> dict[str, list[str]]:
        """Key -> keys of the jobs that need it."""
        found: dict[str, list[str]] = {key: [] for key in self.jobs}
        for job in self.jobs.values():
            for need in job.needs:
                found[need].append(job.key)
        return found

    def remaining_paths(self) -> dict[str, float]:
        """Key -> cost of the longest chain from this job to an end, itself included."""
        children = self.children()
        longest: dict[str, float] = {}
        for key in reversed(self.jobs):
            below = max((longest[child] for child in children[key]), default=0.0)
            longest[key] = self.jobs[key].cost + below
        return longest


def selection_name(selection: Selection) -> str:
    """How a selection split is called in outcomes: ``xnli/dev/en``."""
    return f"{selection.task}/{selection.split}/{selection.language}"
