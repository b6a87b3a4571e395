"""Addresses: the hash of what a job is made from, and the inputs that its worker is given.

An address is the digest of canonical JSON of resolved inputs, declared settings, seed, the
parents' addresses and three versions (data encoding, training, metrics). Paths, library versions
and hardware are not hashed. A job has one or more units, an address each: a training has one, a
prepare job one per language, a score job one per split and language; what the store has of them
is not done again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeper.planning import TOKENIZER, Job, Plan, Search, selection_name
from sweeper.store.commits import Commit, Commits
from sweeper.store.files import canonical, digest
from sweeper.study import Training
from sweeper.tasks import kinds
from sweeper.tasks.card import Card, SyntheticSource
from sweeper.tasks.encoding import ENCODING_VERSION
from sweeper.tasks.metrics import METRIC_VERSION
from sweeper.tasks.sources import identity

TRAINING_VERSION = 1
"""Rises when the same settings and data would train other weights."""

ONLY = "all"
"""The name of the unit of a job that has just one."""


@dataclass
class Resolved:
    """What names of the outside world turned out to be, found once and kept in the store.

    ``base`` is a model reference with its identity (None for `scratch`); ``sources`` has a
    resolution (see `sweeper.tasks.sources`) per ``task/split/language``; ``root`` is the folder
    of the local files.
    """

    base: dict[str, Any] | None = None
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    root: str | None = None


def derived_seed(place: Any) -> int:
    """A random seed (63 bits) for a place in the study: the same in every row and process.

    It never depends on an address, so that the rows of a matrix stay paired by seed.
    """
    return int.from_bytes(hashlib.sha256(canonical(place)).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class _Checkpoint:
    """A checkpoint to score: the job that makes it (None: the base model), in which folder."""

    job: str | None
    folder: str
    identity: Any


class Addressing:
    """Computes units and inputs of a plan's jobs from what is resolved, asked and committed."""

    def __init__(
        self,
        plan: Plan,
        resolved: Resolved,
        commits: Commits,
        asks: Mapping[str, Mapping[int, dict[str, Any]]],
    ) -> None:
        self.plan = plan
        self.resolved = resolved
        self.commits = commits
        self.asks = asks
        self._units: dict[str, dict[str, str]] = {}
        self._data_units: dict[tuple[str, str, str, int], str] = {}
        self._searches: dict[str, str] = {}

    def units(self, key: str) -> dict[str, str] | None:
        """Unit name -> address; None while a selection or a search has yet to decide."""
        if key not in self._units:
            job = self.plan.jobs[key]
            found = getattr(self, f"_{job.kind}_units")(job)
            if found is None:
                return None
            self._units[key] = found
        return self._units[key]

    def forget(self, key: str) -> None:
        """Work a job's units out anew: an outcome that they rest on was replaced."""
        self._units.pop(key, None)

    def address(self, key: str) -> str:
        """The address of a job with one unit that is known by now."""
        units = self.units(key)
        assert units is not None, key
        return units[ONLY]

    def search_address(self, search: Search) -> str:
        """Where the asks of a search lie: the digest of everything but a trial's parameters."""
        if search.key not in self._searches:
            job = self.plan.jobs[search.trials[0]]
            space = search.space.model_dump(exclude={"training", "trials"})
            said = {"search": self._tune_identity(job, {}), "space": space}
            self._searches[search.key] = digest(said)
        return self._searches[search.key]

    def parameters(self, job: Job) -> dict[str, Any] | None:
        """A trial's searched settings: as asked, or as the grid says; None if not yet asked."""
        assert job.trial is not None
        search = self.plan.searches[job.declared["search"]]
        asked = self.asks.get(self.search_address(search), {}).get(job.trial)
        if asked is not None:
            return asked
        return dict(search.space.grid[job.trial]) if search.space.sampler == "grid" else None

    def winner(self, search: Search, selection: str) -> tuple[Job, dict[str, Any]] | None:
        """The trial that a selection split picks, with its best epoch; None if none finished.

        Ties: lower dev loss, earlier epoch, lower learning rate, lower trial number.
        """
        ranked = self.ranking(search, selection)
        return ranked[0] if ranked else None

    def ranking(self, search: Search, selection: str) -> list[tuple[Job, dict[str, Any]]]:
        """The finished trials of a search with their best epoch, best first."""
        found = []
        sign = -1 if self._higher_is_better(selection) else 1
        for key in search.trials:
            job = self.plan.jobs[key]
            commit = self.commit(key)
            if commit is None or commit.outcome["status"] != "done":
                continue
            best = commit.outcome["selections"].get(selection)
            if best:
                rate = self.training(job)["learning_rate"]
                loss = math.inf if best["loss"] is None else best["loss"]
                order = (sign * best["value"], loss, best["epoch"], rate, job.trial)
                found.append((order, job, best))
        return [(job, best) for _, job, best in sorted(found, key=lambda item: item[0])]

    def _higher_is_better(self, selection: str) -> bool:
        task = selection.split("/")[0]
        return kinds.get(self.plan.cards[task].kind).higher_is_better

    def commit(self, key: str) -> Commit | None:
        """The commit of a job with one unit, if the store has it."""
        units = self.units(key)
        return self.commits.by_unit.get(units[ONLY]) if units else None

    def training(self, job: Job) -> dict[str, Any]:
        """All training settings of a train or tune job, searched ones included."""
        searched = self.parameters(job) if job.kind == "tune" else None
        return _settings(job.declared["training"], searched or {})

    # -- units, by kind ------------------------------------------------------------------------

    def _prepare_units(self, job: Job) -> dict[str, str]:
        if job.declared["do"] == "tokenizer":
            text = job.declared["text"]
            sources = {c: self._source(text["task"], "train", c) for c in text["languages"]}
            return {ONLY: digest({"tokenizer": sources, "size": job.declared["vocabulary"]})}
        task, split = job.declared["task"], job.declared["split"]
        return {
            code: self._data_unit(task, split, code, job.declared["length"])
            for code in job.declared["languages"]
        }

    def _data_unit(self, task: str, split: str, code: str, length: int) -> str:
        place = (task, split, code, length)
        if place not in self._data_units:
            said = {
                "data": self._source(task, split, code),
                "length": length,
                "tokenizer": self._tokenizer_identity(),
                "version": ENCODING_VERSION,
            }
            self._data_units[place] = digest(said)
        return self._data_units[place]

    def _source(self, task: str, split: str, code: str) -> dict[str, Any]:
        """What decides the rows of a split in a language: content, reading rules, limit."""
        resolution = self.resolved.sources[f"{task}/{split}/{code}"]
        card = self.plan.cards[task]
        return {
            "content": identity(resolution),
            "kind": card.kind,
            "labels": list(card.labels),
            "reading": _reading(card, resolution["source"], split),
            "without": card.split(split).without,
            "options": card.options,
            "metric": card.scorer,
            "limit": self.plan.study.limit(task, split),
        }

    def _tokenizer_identity(self) -> Any:
        if TOKENIZER in self.plan.jobs:
            return self.address(TOKENIZER)
        assert self.resolved.base is not None
        return self.resolved.base["tokenizer"]

    def _train_units(self, job: Job) -> dict[str, str]:
        declared = job.declared
        return {
            ONLY: digest(
                {
                    "train": [self._train_data(t, declared) for t in declared["tasks"]],
                    "sampler": declared["sampler"],
                    "parent": self._parent_identity(declared["parent"]),
                    "training": self.training(job),
                    "random": derived_seed(declared["place"]),
                    "version": TRAINING_VERSION,
                }
            )
        }

    def _train_data(self, task: str, declared: Mapping[str, Any]) -> dict[str, Any]:
        length = declared["training"]["max_length"]
        languages = self.plan.cards[task].splits["train"].languages
        return {
            "task": task,
            "data": [self._data_unit(task, "train", code, length) for code in languages],
        }

    def _parent_identity(self, parent: str | None) -> Any:
        if parent:
            return self.address(parent)
        if self.resolved.base is not None:
            return self.resolved.base["weights"]
        scratch = self.plan.study.base.scratch
        assert scratch is not None
        return {"scratch": _architecture(scratch), "tokenizer": self._tokenizer_identity()}

    def _tune_units(self, job: Job) -> dict[str, str] | None:
        parameters = self.parameters(job)
        if parameters is None:
            return None
        return {ONLY: digest({"tune": self._tune_identity(job, parameters)})}

    def _tune_identity(self, job: Job, parameters: dict[str, Any]) -> dict[str, Any]:
        declared = job.declared
        length = declared["training"]["max_length"]
        return {
            "train": self._train_data(declared["task"], declared),
            "select": {
                name: {
                    "data": self._data_unit(task, split, code, length),
                    "metric": kinds.get(self.plan.cards[task].kind).metric,
                }
                for name, (task, split, code) in declared["selections"].items()
            },
            "parent": self._parent_identity(declared["parent"]),
            "training": _settings(declared["training"], parameters),
            "random": derived_seed(declared["place"]),
            "versions": [TRAINING_VERSION, METRIC_VERSION],
        }

    def _score_units(self, job: Job) -> dict[str, str] | None:
        checkpoint = self._checkpoint(job)
        if checkpoint is None:
            return None
        target = job.target
        card = self.plan.cards[target]
        shared = {
            "checkpoint": checkpoint.identity,
            "kind": card.kind,
            "labels": list(card.labels),
            "representation": self._representation(job),
            "version": METRIC_VERSION,
        }
        return {
            name: digest({"data": self._data_unit(target, split, code, job.declared["length"])}
                         | shared)
            for name, (split, code) in job.declared["units"].items()
        }  # fmt: skip

    def _representation(self, job: Job) -> dict[str, Any] | None:
        if kinds.get(self.plan.cards[job.target].kind).needs_training:
            return None
        return self.plan.targets[job.target].representation.model_dump()

    def _checkpoint(self, job: Job) -> _Checkpoint | None:
        """What a score job scores; None until its search has picked a winner."""
        source = job.declared["checkpoint"]
        if "train" in source:
            parent = source["train"]
            return _Checkpoint(parent, "checkpoint", self._parent_identity(parent))
        search = self.plan.searches[source["search"]]
        if not all(self.commit(key) for key in search.trials):
            return None
        won = self.winner(search, selection_of(self.plan, job.target))
        if won is None:
            return None
        winner, best = won
        identity = {"tune": self.address(winner.key), "epoch": best["epoch"]}
        return _Checkpoint(winner.key, best["checkpoint"], identity)

    # -- inputs, by kind -----------------------------------------------------------------------

    def inputs(self, key: str, missing: Mapping[str, str]) -> dict[str, Any]:
        """What a worker is given for a job (`JobSpec.inputs`): its ``missing`` units only.

        prepare: ``do`` is "tokenizer" (``vocabulary``, ``text``) or "data" (``card``, ``split``,
        ``languages`` -> resolution, ``limit``, ``max_length``, ``tokenizer``), and ``root``.
        train: ``parent``, ``tokenizer``, ``tasks`` (card, data folders), ``sampler``,
        ``training``, ``rng``. tune: the same and ``selections``. score: ``checkpoint``,
        ``tokenizer``, ``card``, ``data``, ``languages``, ``representation``.
        """
        job = self.plan.jobs[key]
        found: dict[str, Any] = getattr(self, f"_{job.kind}_inputs")(job, missing)
        return found

    def _prepare_inputs(self, job: Job, missing: Mapping[str, str]) -> dict[str, Any]:
        declared = job.declared
        if declared["do"] == "tokenizer":
            text = declared["text"]
            return {
                "do": "tokenizer",
                "vocabulary": declared["vocabulary"],
                "text": self._rows(text["task"], "train", text["languages"]),
                "root": self.resolved.root,
            }
        return {
            "do": "data",
            **self._rows(declared["task"], declared["split"], missing),
            "max_length": declared["length"],
            "tokenizer": self._tokenizer_ref(),
            "root": self.resolved.root,
        }

    def _rows(self, task: str, split: str, codes: Any) -> dict[str, Any]:
        return {
            "card": _card_json(self.plan.cards[task]),
            "split": split,
            "languages": {c: self.resolved.sources[f"{task}/{split}/{c}"] for c in codes},
            "limit": self.plan.study.limit(task, split),
        }

    def _train_inputs(self, job: Job, missing: Mapping[str, str]) -> dict[str, Any]:
        declared = job.declared
        return {
            "parent": self._parent_ref(declared["parent"]),
            "tokenizer": self._tokenizer_ref(),
            "tasks": [self._task_inputs(task, declared) for task in declared["tasks"]],
            "sampler": declared["sampler"],
            "training": self.training(job),
            "rng": derived_seed(declared["place"]),
        }

    def _tune_inputs(self, job: Job, missing: Mapping[str, str]) -> dict[str, Any]:
        declared = {**job.declared, "tasks": [job.declared["task"]], "sampler": None}
        length = declared["training"]["max_length"]
        selections = {
            name: {
                "card": _card_json(self.plan.cards[task]),
                "data": self._data_folder(task, split, code, length),
            }
            for name, (task, split, code) in declared["selections"].items()
        }
        made = self._train_inputs(Job(**{**vars(job), "declared": declared}), missing)
        return {
            **made,
            "sampler": {"name": "proportional", "temperature": None},
            "selections": selections,
        }

    def _task_inputs(self, task: str, declared: Mapping[str, Any]) -> dict[str, Any]:
        length = declared["training"]["max_length"]
        languages = self.plan.cards[task].splits["train"].languages
        return {
            "card": _card_json(self.plan.cards[task]),
            "data": [self._data_folder(task, "train", code, length) for code in languages],
        }

    def _score_inputs(self, job: Job, missing: Mapping[str, str]) -> dict[str, Any]:
        checkpoint = self._checkpoint(job)
        assert checkpoint is not None
        ref = self._parent_ref(checkpoint.job, checkpoint.folder)
        units = {name: job.declared["units"][name] for name in missing}
        length = job.declared["length"]
        return {
            "checkpoint": ref,
            "tokenizer": self._tokenizer_ref(),
            "card": _card_json(self.plan.cards[job.target]),
            "data": {
                name: self._data_folder(job.target, split, code, length)
                for name, (split, code) in units.items()
            },
            "languages": {name: code for name, (_, code) in units.items()},
            "representation": self._representation(job),
            "columns": {
                "main": kinds.get(self.plan.cards[job.target].kind).metric,
                "overlap": {name: overlap(self.plan, job, name) for name in units},
                "zero_shot": {
                    name: code not in trained_languages(self.plan, job.target)
                    for name, (_, code) in units.items()
                },
                "checkpoint": ref.get("path") or ref.get("folder") or ref.get("hub"),
            },
        }

    def parents(self, key: str) -> list[str]:
        """The addresses of the checkpoint that a job starts from, or scores: its lineage."""
        job = self.plan.jobs[key]
        if job.kind == "score":
            checkpoint = self._checkpoint(job)
            return [self.address(checkpoint.job)] if checkpoint and checkpoint.job else []
        parent = job.declared.get("parent")
        return [self.address(parent)] if parent else []

    def checkpoint_job(self, key: str) -> str | None:
        """The job whose checkpoint a score job reads, once it is known."""
        checkpoint = self._checkpoint(self.plan.jobs[key])
        return checkpoint.job if checkpoint else None

    def _parent_ref(self, parent: str | None, folder: str = "checkpoint") -> dict[str, Any]:
        if parent:
            commit = self.commit(parent)
            assert commit is not None, parent
            return {"path": f"{commit.folder}/{folder}"}
        if self.resolved.base is not None:
            ref: dict[str, Any] = self.resolved.base["ref"]
            return ref
        scratch = self.plan.study.base.scratch
        assert scratch is not None
        return {"scratch": _architecture(scratch)}

    def _tokenizer_ref(self) -> dict[str, Any]:
        if TOKENIZER in self.plan.jobs:
            commit = self.commit(TOKENIZER)
            assert commit is not None
            return {"path": f"{commit.folder}/tokenizer"}
        assert self.resolved.base is not None
        ref: dict[str, Any] = self.resolved.base["ref"]
        return ref

    def _data_folder(self, task: str, split: str, code: str, length: int) -> str:
        commit = self.commits.by_unit[self._data_unit(task, split, code, length)]
        return f"{commit.folder}/{code}"


def _settings(declared: Mapping[str, Any], searched: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the model has them, so that ``1`` and ``1.0`` are one learning rate."""
    return Training.model_validate({**declared, **searched}).model_dump()


def _architecture(scratch: Any) -> dict[str, Any]:
    fields = {"layers", "hidden", "heads", "feed_forward", "max_length"}
    found: dict[str, Any] = scratch.model_dump(include=fields)
    return found


def _reading(card: Card, source: str, split: str) -> Any:
    """A card's rules for reading a split: where its files lie is none of them."""
    told = {"files", "dataset", "config", "revision", "splits"}
    found = card.source(source)
    if isinstance(found, SyntheticSource):
        return found.model_dump(mode="json")
    members = found.members(split)
    return [[part, member.model_dump(mode="json", exclude=told)] for part, member in members]


def _card_json(card: Card) -> dict[str, Any]:
    return card.model_dump(mode="json")


def selection_of(plan: Plan, target: str) -> str:
    """The name of the selection split of a trained target."""
    selection = plan.targets[target].selection
    assert selection is not None
    return selection_name(selection)


def trained_languages(plan: Plan, target: str) -> tuple[str, ...]:
    """The languages of the data that a target is trained on; none for a retrieval target."""
    task = plan.targets[target].training_task
    return plan.cards[task].splits["train"].languages if task else ()


def overlap(plan: Plan, job: Job, unit: str) -> str:
    """What a score shares with its training or its selection, in words; empty if nothing.

    Same data as the training task: an intermediate of the row is the target's training task, so
    the row is extra epochs and no transfer. Selected on: the winner was picked on this split.
    """
    found = []
    target = plan.targets[job.target]
    row = plan.study.intermediates.get(job.intermediate)
    tasks = {task for stage in row.stages for task in stage.tasks} if row else set()
    if target.training_task in tasks:
        found.append("same data as the training task")
    split, code = job.declared["units"][unit]
    at = target.selection
    if at and (at.task, at.split, at.language) == (job.target, split, code):
        found.append("selected on")
    return "; ".join(found)
