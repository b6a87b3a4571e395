"""Study -> Plan: the jobs, their keys, what each needs and what it costs. No torch, no data.

A key is a job's place in the study and is known here; its address needs resolved sources and,
for what comes after a selection, outcomes (`sweeper.addressing`). Rows that share a first stage
share its job: stages are told apart by what they train, not by the row that names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.errors import StudyError, suggest
from sweeper.study import CONTROL, Selection, Space, Stage, Study, Target, Training
from sweeper.tasks import kinds
from sweeper.tasks.card import Card, load_cards, shipped_cards

BASE = "train/base"
TOKENIZER = "prepare/tokenizer"

_EXAMPLES_UNKNOWN = 10_000
_EVALUATION = 1 / 3  # a forward pass beside a forward, a backward and a step
_PREPARING = 1 / 100


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
    """One Optuna study: an intermediate, a training task and a seed."""

    key: str
    intermediate: str
    training_task: str
    seed: int
    space: Space
    trials: tuple[str, ...]
    selections: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A target's scores on one seed of a row: the score job that brings them."""

    intermediate: str
    target: str
    seed: int
    score: str


@dataclass
class Plan:
    """All jobs of a study, parents before children."""

    study: Study
    cards: dict[str, Card]
    targets: dict[str, Target]
    jobs: dict[str, Job] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    checkpoint_bytes: int | None = None

    @property
    def rows(self) -> list[str]:
        """The intermediates, the control first."""
        return [CONTROL, *self.study.intermediates]

    @property
    def columns(self) -> list[str]:
        """The targets."""
        return list(self.study.targets)

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


def plan(study: Study, *, cards: Mapping[str, Card] | None = None) -> Plan:
    """The jobs of a study.

    Args:
        study: What to sweep.
        cards: Task cards by name; default: the shipped ones and those in `tasks_path`.

    Raises:
        StudyError: an unknown task or language, a task without the split or the kind that its
            role needs; the message names the study's line.
    """
    known = dict(cards) if cards is not None else known_cards(study)
    return _Planner(study, known).plan()


def known_cards(study: Study) -> dict[str, Card]:
    """The shipped cards, and the user's own, which may not take a shipped name."""
    cards = shipped_cards()
    if study.tasks_path is None:
        return cards
    folder = study.folder / Path(study.tasks_path).expanduser()
    if not folder.is_dir():
        raise StudyError(
            f"{study.where('tasks_path')}: tasks_path must be a folder of cards; {folder} is "
            "none. Mend the path (it is relative to the study's file)."
        )
    own = load_cards(folder)
    taken = sorted(set(own) & set(cards))
    if taken:
        raise StudyError(f"{folder}: the card name {taken[0]!r} is a shipped one. Rename yours.")
    return {**cards, **own}


class _Planner:
    """Builds a `Plan` from the ends: a cell asks for its score, and that for what it needs."""

    def __init__(self, study: Study, cards: dict[str, Card]) -> None:
        self.study = study
        self.cards = cards
        self.plan_ = Plan(study, cards, {})
        self._stages: dict[str, str] = {}  # what a stage trains -> its key
        self._languages: dict[tuple[str, str, int], set[str]] = {}

    def plan(self) -> Plan:
        for name, target in self.study.targets.items():
            self.plan_.targets[name] = self._completed(name, target)
        for name in (*self.study.spaces, *self.study.task_limits):
            where = "spaces" if name in self.study.spaces else "task_limits"
            self._card(name, where, name)
        self._check_spaces()
        for seed in self.study.seeds:
            for row in self.plan_.rows:
                parent = self._row(row, seed)
                for column in self.plan_.columns:
                    self._cell(row, column, seed, parent)
        self._finish_preparation()
        self.plan_.checkpoint_bytes = checkpoint_bytes(self.study)
        return self.plan_

    def _check_spaces(self) -> None:
        """A space under the name of a target that is trained on something else is a slip."""
        targets = self.plan_.targets
        trained = {target.training_task for target in targets.values()}
        for name in self.study.spaces:
            if name in targets and name not in trained:
                task = targets[name].training_task
                said = f"is trained on {task}: name it {task}" if task else "is not trained"
                raise StudyError(
                    f"{self.study.where('spaces', name)}: a space belongs to a training task, "
                    f"and {name} {said}."
                )

    def _card(self, name: str, *where: str | int) -> Card:
        if name not in self.cards:
            raise StudyError(
                f"{self.study.where(*where)}: unknown task {name!r}.{suggest(name, self.cards)}"
            )
        return self.cards[name]

    def _completed(self, name: str, target: Target) -> Target:
        """The target with what its card says where the study is silent."""
        where = ("targets", name)
        card = self._card(name, *where)
        trained = target.training_task or card.training_task
        if trained:
            self._card(trained, *where, "training_task")
            self._languages_of(trained, "train", where)
        own = card.selection
        selection = target.selection or (own and Selection.model_validate(own.model_dump()))
        if trained and selection is None:
            raise StudyError(
                f"{self.study.where(*where)}: {name} is trained, so it needs a selection split "
                "to pick its winner by. Add `selection: {split: dev, language: en}`."
            )
        if not trained and kinds.get(card.kind).needs_training:
            raise StudyError(
                f"{self.study.where(*where)}: {name} is a {card.kind} task and must be trained "
                "before it is scored. Add `training_task:`."
            )
        if trained and selection:
            chosen = self._card(selection.task or name, *where, "selection")
            self._languages_of(chosen.name, selection.split, where, (selection.language,))
            selection = selection.model_copy(update={"task": chosen.name})
        else:
            selection = None
        for split in target.splits:
            self._languages_of(name, split, (*where, "languages"), target.languages)
        return target.model_copy(update={"training_task": trained, "selection": selection})

    def _languages_of(
        self,
        task: str,
        split: str,
        where: tuple[str | int, ...],
        wanted: Iterable[str] | None = None,
    ) -> tuple[str, ...]:
        """The languages of a task's split, or those wanted of them, checked."""
        card = self.cards[task]
        if split not in card.splits:
            raise StudyError(
                f"{self.study.where(*where)}: {task} has no split {split!r}."
                + suggest(split, card.splits)
            )
        there = card.splits[split].languages
        for code in wanted or ():
            if code not in there:
                raise StudyError(
                    f"{self.study.where(*where)}: the {split} split of {task} has no language "
                    f"{code!r}.{suggest(code, there, most=50)}"
                )
        return tuple(wanted) if wanted else there

    def _row(self, row: str, seed: int) -> str | None:
        """The key of the last stage of a row; None where the base model is given as it is."""
        parent = self._base()
        if row == CONTROL:
            return parent
        stages = self.study.intermediates[row].stages
        for index, stage in enumerate(stages):
            last = index == len(stages) - 1
            name = row if last else f"{row}/stage={index}"
            parent = self._stage(name, row, index, stage, seed, parent)
        return parent

    def _base(self) -> str | None:
        scratch = self.study.base.scratch
        if scratch is None:
            return None
        if BASE not in self.plan_.jobs:
            card = self._card(scratch.text, "base", "scratch", "text")
            if card.kind != "masked_lm":
                raise StudyError(
                    f"{self.study.where('base', 'scratch', 'text')}: a base model is made from "
                    f"a masked_lm task; {card.name} is {card.kind}."
                )
            languages = self._languages_of(card.name, "train", ("base", "scratch", "text"))
            text = {"task": card.name, "split": "train", "languages": languages}
            declared = {"do": "tokenizer", "text": text, "vocabulary": scratch.vocabulary}
            examples = self._examples(card.name, "train") * len(languages)
            self._add(Job(TOKENIZER, "prepare", (), declared, examples * _PREPARING))
            training = self.study.training.updated(scratch.training)
            stage = Stage(tasks=(card.name,), training=scratch.training)
            self._train(BASE, "base", 0, stage, training, scratch.seed, None)
        return BASE

    def _stage(
        self, name: str, row: str, index: int, stage: Stage, seed: int, parent: str | None
    ) -> str:
        training = self.study.training.updated(stage.training)
        content = repr((parent, index, stage.tasks, stage.sampler, stage.temperature, training))
        same = f"{content} seed={seed}"
        if same not in self._stages:
            self._stages[same] = f"train/{name}/seed={seed}"
            self._train(self._stages[same], row, index, stage, training, seed, parent)
        return self._stages[same]

    def _train(
        self,
        key: str,
        row: str,
        index: int,
        stage: Stage,
        training: Training,
        seed: int,
        parent: str | None,
    ) -> None:
        where = ("base",) if key == BASE else ("intermediates", row)
        needs = [parent] if parent else []
        for task in stage.tasks:
            self._card(task, *where)
            self._languages_of(task, "train", where)
            needs.append(self._prepare(task, "train", training.max_length))
        declared = {
            "parent": parent,
            "tasks": stage.tasks,
            "sampler": {"name": stage.sampler, "temperature": stage.temperature},
            "training": training.model_dump(),
            "place": [seed, "stage", index, list(stage.tasks)],
        }
        cost = self._training_cost(stage.tasks, training)
        self._add(Job(key, "train", tuple(needs), declared, cost, row, "", seed))

    def _training_cost(self, tasks: Iterable[str], training: Training) -> float:
        if training.steps:
            return float(training.steps * training.batch)
        pool = sum(self._split_examples(task, "train") for task in tasks)
        return float(min(pool, training.examples or pool) * training.epochs)

    def _cell(self, row: str, column: str, seed: int, parent: str | None) -> None:
        target = self.plan_.targets[column]
        key = f"score/{row}>{column}/seed={seed}"
        if target.training_task:
            search = self._search(row, target.training_task, seed, parent)
            checkpoint: dict[str, Any] = {"search": search.key}
            needs, length = list(search.trials), self._space_training(target).max_length
        else:
            checkpoint = {"train": parent}
            needs, length = ([parent] if parent else []), self._retrieval_length(target)
        units = {}
        for split in target.splits:
            languages = self._languages_of(column, split, (), target.languages)
            needs.append(self._prepare(column, split, length, languages))
            units.update({f"{split}/{code}": [split, code] for code in languages})
        declared = {"target": column, "checkpoint": checkpoint, "units": units, "length": length}
        examples = sum(self._examples(column, split) for split, _ in units.values())
        job = Job(key, "score", tuple(needs), declared, examples * _EVALUATION, row, column, seed)
        self._add(job)
        self.plan_.cells.append(Cell(row, column, seed, key))

    def _space_training(self, target: Target) -> Training:
        assert target.training_task
        return self.study.training.updated(self.study.space(target.training_task).training)

    def _retrieval_length(self, target: Target) -> int:
        return target.max_length or self.study.training.max_length

    def _search(self, row: str, task: str, seed: int, parent: str | None) -> Search:
        key = f"{row}>{task}/seed={seed}"
        if key in self.plan_.searches:
            return self.plan_.searches[key]
        space = self.study.space(task)
        training = self.study.training.updated(space.training)
        selections = self._selections(task)
        needs = [*([parent] if parent else []), self._prepare(task, "train", training.max_length)]
        cost = self._training_cost([task], training)
        for chosen, split, code in selections.values():
            needs.append(self._prepare(chosen, split, training.max_length, (code,)))
            cost += self._examples(chosen, split) * training.epochs * _EVALUATION
        trials = []
        for trial in range(space.budget):
            declared = {
                "parent": parent,
                "search": key,
                "task": task,
                "training": training.model_dump(),
                "selections": selections,
                "place": [seed, "tune", task],
            }
            name = f"tune/{key}/trial={trial}"
            self._add(Job(name, "tune", tuple(needs), declared, cost, row, task, seed, trial))
            trials.append(name)
        search = Search(key, row, task, seed, space, tuple(trials), tuple(selections))
        self.plan_.searches[key] = search
        return search

    def _selections(self, task: str) -> dict[str, tuple[str, str, str]]:
        """Where the targets of a training task select: name -> task, split, language."""
        found = {}
        for target in self.plan_.targets.values():
            if target.training_task == task and target.selection:
                at = target.selection
                assert at.task
                found[selection_name(at)] = (at.task, at.split, at.language)
        return found

    def _prepare(
        self, task: str, split: str, length: int, languages: Iterable[str] | None = None
    ) -> str:
        """The key of the job that tokenises a split; its languages are collected till the end."""
        there = languages or self.cards[task].splits[split].languages
        self._languages.setdefault((task, split, length), set()).update(there)
        key = f"prepare/{task}/{split}/{length}"
        if key not in self.plan_.jobs:
            needs = (TOKENIZER,) if self.study.base.scratch else ()
            declared = {"do": "data", "task": task, "split": split, "length": length}
            self._add(Job(key, "prepare", needs, declared, 0.0))
        return key

    def _finish_preparation(self) -> None:
        """Give each prepare job all the languages that were asked of it, and its cost."""
        scratch = self.study.base.scratch
        for (task, split, length), languages in self._languages.items():
            if scratch and length > scratch.max_length:
                raise StudyError(
                    f"{self.study.where('base', 'scratch')}: {task} is cut to {length} subwords, "
                    f"and the base model takes {scratch.max_length}. Lower that max_length, or "
                    "raise the base's."
                )
            key = f"prepare/{task}/{split}/{length}"
            job = self.plan_.jobs[key]
            declared = {**job.declared, "languages": tuple(sorted(languages))}
            cost = self._examples(task, split) * len(languages) * _PREPARING
            self.plan_.jobs[key] = Job(key, job.kind, job.needs, declared, cost)
        # A prepare job can be asked for first by a job that stands before it: parents first.
        self.plan_.jobs = {job.key: job for job in _parents_first(self.plan_.jobs)}

    def _add(self, job: Job) -> None:
        self.plan_.jobs.setdefault(job.key, job)

    def _examples(self, task: str, split: str) -> int:
        """Examples per language of a split: the card's count, cut by the study's limit."""
        found = self.cards[task].splits[split]
        counts = [found.rows_in(code) or _EXAMPLES_UNKNOWN for code in found.languages]
        known = sum(counts) // len(counts)
        return min(known, self.study.limit(task, split) or known)

    def _split_examples(self, task: str, split: str) -> int:
        return self._examples(task, split) * len(self.cards[task].splits[split].languages)


def _parents_first(jobs: Mapping[str, Job]) -> Iterator[Job]:
    done: set[str] = set()

    def visit(key: str) -> Iterator[Job]:
        if key not in done:
            done.add(key)
            for need in jobs[key].needs:
                yield from visit(need)
            yield jobs[key]

    for key in jobs:
        yield from visit(key)


def selection_name(selection: Selection) -> str:
    """How a selection split is called in outcomes: ``xnli/dev/en``."""
    return f"{selection.task}/{selection.split}/{selection.language}"


_HUB_PARAMETERS = {
    "xlm-roberta-base": 278_000_000,
    "FacebookAI/xlm-roberta-base": 278_000_000,
    "xlm-roberta-large": 560_000_000,
    "FacebookAI/xlm-roberta-large": 560_000_000,
    "bert-base-multilingual-cased": 178_000_000,
    "google-bert/bert-base-multilingual-cased": 178_000_000,
}


def checkpoint_bytes(study: Study) -> int | None:
    """Bytes of one checkpoint in fp32; None for a hub model whose size is not known here."""
    scratch = study.base.scratch
    if scratch:
        size = scratch.hidden
        layer = 4 * size * size + 2 * size * scratch.feed_forward + 9 * size + scratch.feed_forward
        embedded = (scratch.vocabulary + scratch.max_length + 5) * size
        return 4 * (embedded + scratch.layers * layer)
    folder = Path(study.base.model or "").expanduser()
    if (study.folder / folder).is_dir():
        weights = [*(study.folder / folder).glob("*.safetensors")]
        return sum(file.stat().st_size for file in weights) or None
    parameters = _HUB_PARAMETERS.get(study.base.model or "")
    return 4 * parameters if parameters else None
