"""What a worker is given for a job: references into the store, cards, settings; plain JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweeper.addressing import Addressing, Checkpoint
from sweeper.graph import TOKENIZER, Job
from sweeper.overlaps import overlap
from sweeper.tasks import kinds
from sweeper.trainings import architecture, derived_seed


class Inputs:
    """Makes `JobSpec.inputs` of a job whose needs are all committed.

    Attributes:
        reads: The markers of all that the inputs refer to in the store.
    """

    def __init__(self, addressing: Addressing) -> None:
        self.reads: set[str] = set()
        self.addressing = addressing
        self.plan = addressing.plan
        self.resolved = addressing.resolved

    def of(self, key: str, missing: Mapping[str, str]) -> dict[str, Any]:
        """The inputs of a job, for its ``missing`` units only.

        prepare: ``do`` is "tokenizer" (``vocabulary``, ``text``) or "data" (``card``, ``split``,
        ``languages`` -> resolution, ``limit``, ``keep_going``, ``max_length``, ``tokenizer``), and
        ``root``.
        train: ``parent``, ``tokenizer``, ``tasks`` (card, data folders), ``sampler``,
        ``training``, ``rng``. tune: the same, ``selections``, and in ``keep`` what else is kept.
        score: ``checkpoint``, ``tokenizer``, ``card``, ``data``, ``languages``,
        ``representation``, and in ``columns`` what the rows of its scores say besides. ``data``
        and ``languages`` of a score have the units, too, without which the missing ones cannot be
        scored.
        """
        job = self.plan.jobs[key]
        if job.kind == "prepare":
            return self._prepare(job, missing)
        if job.kind == "score":
            return self._score(job, missing)
        return self._train(job)

    def _prepare(self, job: Job, missing: Mapping[str, str]) -> dict[str, Any]:
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
            "tokenizer": self._tokenizer(),
            "root": self.resolved.root,
        }

    def _rows(self, task: str, split: str, codes: Any) -> dict[str, Any]:
        return {
            "card": self._card(task),
            "split": split,
            "languages": {c: self.resolved.sources[f"{task}/{split}/{c}"] for c in codes},
            "limit": self.plan.limit(task, split),
            "keep_going": self.plan.study.keep_going,
        }

    def _train(self, job: Job) -> dict[str, Any]:
        """Of a stage, or of a trial: the same but for the selection splits."""
        declared = job.declared
        length = declared["training"]["max_length"]
        found = {
            "parent": self._model(declared["parent"]),
            "tokenizer": self._tokenizer(),
            "tasks": [
                {"card": self._card(task), "data": self._train_data(task, length)}
                for task in declared["tasks"]
            ],
            "sampler": declared["sampler"],
            "training": self.addressing.training(job),
            "rng": derived_seed(declared["place"]),
        }
        if job.kind == "tune":
            found["selections"] = {
                name: {"card": self._card(task), "data": self._data(task, split, code, length)}
                for name, (task, split, code) in declared["selections"].items()
            }
            found["keep"] = list(declared["keep"])
        return found

    def _train_data(self, task: str, length: int) -> list[str]:
        languages = self.plan.training_languages(task)
        return [self._data(task, "train", code, length) for code in languages]

    def _score(self, job: Job, missing: Mapping[str, str]) -> dict[str, Any]:
        checkpoint = self.addressing.checkpoint(job)
        assert checkpoint is not None
        model = self._model(checkpoint.job, checkpoint.folder)
        units = {name: job.declared["units"][name] for name in missing}
        run = {**units, **self._companions(job, units)}
        length = job.declared["length"]
        trained = self.plan.trained_languages(job.target)
        card = self.plan.cards[job.target]
        return {
            "checkpoint": model,
            "tokenizer": self._tokenizer(),
            "card": self._card(job.target),
            "data": {
                name: self._data(job.target, split, code, length)
                for name, (split, code) in run.items()
            },
            "languages": {name: code for name, (_, code) in run.items()},
            "representation": self.addressing.representation(job),
            "columns": {
                "main": kinds.get(card.kind).main_metric(card),
                "overlap": {name: overlap(self.plan, job, name) for name in units},
                "zero_shot": {name: code not in trained for name, (_, code) in units.items()},
                "checkpoint": model.get("path") or model.get("folder") or model.get("hub"),
                "weights": checkpoint.weights,
                "parameters": self._varied(checkpoint),
            },
        }

    def _varied(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What was chosen on the way to a checkpoint, by searches and by its selection."""
        made_by = self.plan.jobs[checkpoint.job] if checkpoint.job else None
        stages = dict(self._stages(made_by))
        found = {"stages": stages} if stages else {}
        if made_by is None or made_by.kind != "tune":
            return found
        own = self.addressing.parameters(made_by) or {}
        return {**own, **checkpoint.epochs, **found}

    def _stages(self, job: Job | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The stages behind a checkpoint that looked for their settings, and what they found."""
        while job:
            found = self.addressing.found(job)
            if found:
                yield job.key, found
            parent = job.declared["parent"]
            job = self.plan.jobs[parent] if parent else None

    def _companions(self, job: Job, units: Mapping[str, Any]) -> dict[str, Any]:
        """The units that the given ones cannot be scored without: run, but not scored anew."""
        card = self.plan.cards[job.target]
        kind = kinds.get(card.kind)
        named = {"/".join(o) for split, code in units.values()
                 for o in kind.companions(card, split, code)}  # fmt: skip
        known = {**job.declared["units"], **job.declared["companions"]}
        return {name: place for name, place in known.items() if name in named - set(units)}

    def _card(self, task: str) -> dict[str, Any]:
        return self.plan.cards[task].model_dump(mode="json")

    def _model(self, made_by: str | None, folder: str = "checkpoint") -> dict[str, Any]:
        """A reference to the checkpoint of a job, or to the base model where no job made it."""
        if made_by:
            commit = self.addressing.commit(made_by)
            assert commit is not None, made_by
            self.reads.add(commit.name)
            return {"path": f"{commit.folder}/{folder}"}
        if self.resolved.base is not None:
            ref: dict[str, Any] = self.resolved.base["ref"]
            return ref
        scratch = self.plan.study.base.scratch
        assert scratch is not None
        return {"scratch": architecture(scratch)}

    def _tokenizer(self) -> dict[str, Any]:
        made_by = TOKENIZER if TOKENIZER in self.plan.jobs else None
        return self._model(made_by, "tokenizer")

    def _data(self, task: str, split: str, code: str, length: int) -> str:
        """The folder of one language's prepared data."""
        unit = self.addressing.prepared.unit(task, split, code, length)
        commit = self.addressing.commits.by_unit[unit]
        self.reads.add(commit.name)
        return f"{commit.folder}/{code}"
