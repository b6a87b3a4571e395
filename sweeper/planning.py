"""Study -> Plan: the jobs, their keys, what each needs and what it costs. No torch, no data.

A key is a job's place in the study and is known here; its address needs resolved sources and,
for what comes after a selection, outcomes (`sweeper.addressing`). Rows that share a first stage
share its job: stages are told apart by what they train, not by the row that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sweeper import overlaps
from sweeper.checks import Checks
from sweeper.costs import Costs
from sweeper.drafting import Jobs
from sweeper.errors import StudyError
from sweeper.graph import BASE, TOKENIZER, Cell, Job, Plan, Search, selection_name
from sweeper.knowncards import known_cards
from sweeper.sizes import checkpoint_bytes
from sweeper.spaces import Space, Training
from sweeper.study import CONTROL, Stage, Study, Target
from sweeper.tasks import kinds
from sweeper.tasks.card import Card


def plan(study: Study, *, cards: Mapping[str, Card] | None = None) -> Plan:
    """The jobs of a study.

    Args:
        study: What to sweep.
        cards: Task cards by name; default: the shipped ones and those in `tasks_path`.

    Raises:
        StudyError: an unknown task or language, a task without the split or the kind that its
            role needs, a row or a selection that shares examples with what a column tests; the
            message names the study's line.
    """
    known = dict(cards) if cards is not None else known_cards(study)
    return _Planner(study, known).plan()


class _Planner:
    """Builds a `Plan` from the ends: a cell asks for its score, and that for what it needs."""

    def __init__(self, study: Study, cards: dict[str, Card]) -> None:
        self.study = study
        self.cards = cards
        self.checks = Checks(study, cards)
        self.plan_ = Plan(study, cards, {})
        self._stages: dict[str, str] = {}  # what a stage trains -> its key
        self.costs = Costs(self.plan_)
        self.jobs = Jobs(self.plan_, self.costs)

    def plan(self) -> Plan:
        self.plan_.targets = self.checks.targets()
        for seed in self.study.seeds:
            for row in self.plan_.rows:
                parent = self._row(row, seed)
                for column in self.plan_.columns:
                    self._cell(row, column, seed, parent)
        self.jobs.finish()
        overlaps.check(self.plan_)
        self.plan_.checkpoint_bytes = checkpoint_bytes(self.study)
        return self.plan_

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
            card = self.checks.card(scratch.text, "base", "scratch", "text")
            if card.kind != "masked_lm":
                raise StudyError(
                    f"{self.study.where('base', 'scratch', 'text')}: a base model is made from "
                    f"a masked_lm task; {card.name} is {card.kind}."
                )
            languages = self.checks.training_languages(card.name, ("base", "scratch", "text"))
            text = {"task": card.name, "split": "train", "languages": languages}
            declared = {"do": "tokenizer", "text": text, "vocabulary": scratch.vocabulary}
            cost = self.costs.preparing(card.name, "train", languages)
            self.jobs.add(Job(TOKENIZER, "prepare", (), declared, cost))
            training = self.study.training.updated(scratch.training)
            stage = Stage(tasks=(card.name,), training=scratch.training)
            self._train(BASE, "base", 0, stage, training, scratch.seed, None)
        return BASE

    def _stage(
        self, name: str, row: str, index: int, stage: Stage, seed: int, parent: str | None
    ) -> str:
        training = self.study.training.updated(stage.training)
        if stage.space:
            training = training.updated(stage.space.training)
        content = repr((parent, index, stage, training))
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
            self.checks.trained(task, where)
            needs.append(self.jobs.prepare(task, "train", training.max_length))
        declared: dict[str, Any] = {
            "parent": parent,
            "tasks": stage.tasks,
            "sampler": {"name": stage.sampler, "temperature": stage.temperature},
            "training": training.model_dump(),
            "place": [seed, "stage", index, list(stage.tasks)],
        }
        if stage.space:
            search = self._stage_search(key, row, stage, seed, tuple(needs), declared)
            needs += search.trials
            declared["search"] = search.key
        cost = self.costs.training(stage.tasks, training)
        self.jobs.add(Job(key, "train", tuple(needs), declared, cost, row, "", seed))

    def _stage_search(
        self, stage_key: str, row: str, stage: Stage, seed: int, needs: tuple[str, ...],
        declared: Mapping[str, Any],
    ) -> Search:  # fmt: skip
        """The search for a stage's settings: its trials are told by the stage's own dev."""
        (task,), space = stage.tasks, stage.space
        assert space
        at = self.plan_.stage_selection(stage)
        self.checks.stage_selection(task, at, ("intermediates", row))
        assert at.task
        training = Training.model_validate(declared["training"])
        dev = self.jobs.prepare(at.task, at.split, training.max_length, (at.language,))
        data = self.jobs.prepare(task, "train", training.max_length)
        cost = self.costs.training([task], training)
        cost += self.costs.evaluating([(at.task, at.split)], training.epochs)
        key = stage_key.removeprefix("train/")
        said = {
            **declared,
            "search": key,
            "selections": {selection_name(at): (at.task, at.split, at.language)},
            "keep": (),
        }
        trials = tuple(f"tune/{key}/trial={trial}" for trial in range(space.budget))
        needs = tuple(dict.fromkeys((*needs, data, dev)))
        for trial, name in enumerate(trials):
            self.jobs.add(Job(name, "tune", needs, said, cost, row, "", seed, trial))
        search = Search(
            key, row, task, seed, space, trials, (selection_name(at),), stage=stage_key
        )
        self.plan_.searches[key] = search
        return search

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
            languages = self.checks.languages(column, split, (), target.languages)
            needs.append(self.jobs.prepare(column, split, length, languages))
            units.update({f"{split}/{code}": [split, code] for code in languages})
        beside = self._companions(column, units)
        for split, code in beside.values():
            needs.append(self.jobs.prepare(column, split, length, (code,)))
        declared = {
            "target": column,
            "checkpoint": checkpoint,
            "units": units,
            "companions": beside,
            "length": length,
        }
        run = [*units.values(), *beside.values()]
        cost = self.costs.evaluating((column, split) for split, _ in run)
        needs = list(dict.fromkeys(needs))
        job = Job(key, "score", tuple(needs), declared, cost, row, column, seed)
        self.jobs.add(job)
        self.plan_.cells.append(Cell(row, column, seed, key))
        if target.training_task:
            self._beside(job)

    def _beside(self, score: Job) -> None:
        """The scores of a winner's other checkpoints: what the matrix's cell is scored on."""
        for weights in self.study.checkpoints:
            checkpoint = {**score.declared["checkpoint"], "weights": weights}
            declared = {**score.declared, "checkpoint": checkpoint}
            job = replace(score, key=f"{score.key}/checkpoint={weights}", declared=declared)
            self.jobs.add(job)
            assert score.seed is not None
            cell = Cell(score.intermediate, score.target, score.seed, job.key, weights)
            self.plan_.beside.append(cell)

    def _companions(self, column: str, units: Mapping[str, Any]) -> dict[str, list[str]]:
        """The units that are run, and not scored, since others cannot be scored without them."""
        card = self.cards[column]
        kind = kinds.get(card.kind)
        found = {
            "/".join(other): list(other)
            for split, code in units.values()
            for other in kind.companions(card, split, code)
        }
        return {name: place for name, place in found.items() if name not in units}

    def _space_training(self, target: Target) -> Training:
        assert target.training_task
        return self.study.training.updated(self.study.space(target.training_task).training)

    def _retrieval_length(self, target: Target) -> int:
        return target.max_length or self.study.training.max_length

    def _search(self, row: str, task: str, seed: int, parent: str | None) -> Search:
        key = _search(row, task, seed)
        if key in self.plan_.searches:
            return self.plan_.searches[key]
        space = self.study.space(task)
        training = self.study.training.updated(space.training)
        selections = self._selections(task)
        needs = [
            *([parent] if parent else []),
            self.jobs.prepare(task, "train", training.max_length),
        ]
        for chosen, split, code in selections.values():
            needs.append(self.jobs.prepare(chosen, split, training.max_length, (code,)))
        evaluated = [(chosen, split) for chosen, split, _ in selections.values()]
        times = training.epochs + ("averaged" in self.study.checkpoints)
        cost = self.costs.training([task], training) + self.costs.evaluating(evaluated, times)
        followed = self._followed(row, task, seed, space)
        if followed:
            needs += followed.trials
            space = space.model_copy(update={"pruning": None})
        trials = []
        for trial in range(len(selections) if followed else space.budget):
            declared = {
                "parent": parent,
                "search": key,
                "tasks": (task,),
                "sampler": {"name": "proportional", "temperature": None},
                "training": training.model_dump(),
                "selections": selections,
                "keep": tuple(sorted(self.study.checkpoints)),
                "place": [seed, "tune", task],
            }
            name = f"tune/{key}/trial={trial}"
            self.jobs.add(Job(name, "tune", tuple(needs), declared, cost, row, task, seed, trial))
            trials.append(name)
        search = Search(
            key, row, task, seed, space, tuple(trials), tuple(selections),
            followed.key if followed else "",
        )  # fmt: skip
        self.plan_.searches[key] = search
        return search

    def _followed(self, row: str, task: str, seed: int, space: Space) -> Search | None:
        """The search whose winners' parameters a row and seed take over; None: it has its own."""
        tuned_row = CONTROL if space.tune_rows == "none" else row
        tuned_seed = self.study.seeds[0] if space.tune_seeds == "first" else seed
        if (tuned_row, tuned_seed) == (row, seed):
            return None
        # The control and the first seed are planned before all others.
        return self.plan_.searches[_search(tuned_row, task, tuned_seed)]

    def _selections(self, task: str) -> dict[str, tuple[str, str, str]]:
        """Where the targets of a training task select: name -> task, split, language."""
        found = {}
        for target in self.plan_.targets.values():
            if target.training_task == task and target.selection:
                at = target.selection
                assert at.task
                found[selection_name(at)] = (at.task, at.split, at.language)
        return found


def _search(row: str, task: str, seed: int) -> str:
    return f"{row}>{task}/seed={seed}"
