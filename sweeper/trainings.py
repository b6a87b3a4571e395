"""What stages and trials are made from: data, parent, settings, randomness, versions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from sweeper.graph import Job, Plan
from sweeper.prepared import Prepared
from sweeper.spaces import LATER, Training
from sweeper.store.files import canonical
from sweeper.tasks import kinds
from sweeper.tasks.metrics import METRIC_VERSION

TRAINING_VERSION = 1
"""Rises when the same settings and data would train other weights."""


def derived_seed(place: Any) -> int:
    """A random seed (63 bits) for a place in the study: the same in every row and process.

    It never depends on an address, so that the rows of a matrix stay paired by seed.
    """
    return int.from_bytes(hashlib.sha256(canonical(place)).digest()[:8], "big") >> 1


def settings(declared: Mapping[str, Any], searched: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the model has them, so that ``1`` and ``1.0`` are one learning rate."""
    return Training.model_validate({**declared, **searched}).model_dump()


def architecture(scratch: Any) -> dict[str, Any]:
    """The sizes of a base model made from scratch, as a model reference has them."""
    fields = {"layers", "hidden", "heads", "feed_forward", "max_length"}
    found: dict[str, Any] = scratch.model_dump(include=fields)
    return found


class Trainings:
    """Says what the addresses of a plan's trainings are the digests of.

    ``address`` gives that of the job that a training starts from.
    """

    def __init__(self, plan: Plan, prepared: Prepared, address: Callable[[str], str]) -> None:
        self.plan = plan
        self._prepared = prepared
        self._address = address

    def stage(self, job: Job) -> dict[str, Any]:
        """Of a stage, or of the base, as it is declared."""
        declared = job.declared
        return {
            "train": [self._data(task, declared) for task in declared["tasks"]],
            "sampler": declared["sampler"],
            "parent": self.parent(declared["parent"]),
            "training": _addressed(settings(declared["training"], {})),
            "random": derived_seed(declared["place"]),
            "version": TRAINING_VERSION,
        }

    def trial(self, job: Job, parameters: dict[str, Any]) -> dict[str, Any]:
        """Of a trial with these searched settings."""
        declared = job.declared
        length = declared["training"]["max_length"]
        return {
            "train": self._data(declared["tasks"][0], declared),
            "select": {
                name: {
                    "data": self._prepared.unit(task, split, code, length),
                    "metric": kinds.get(self.plan.cards[task].kind).metric,
                }
                for name, (task, split, code) in declared["selections"].items()
            },
            "parent": self.parent(declared["parent"]),
            "training": _addressed(settings(declared["training"], parameters)),
            "random": derived_seed(declared["place"]),
            "versions": [TRAINING_VERSION, METRIC_VERSION],
        }

    def parent(self, key: str | None) -> Any:
        """Of the weights that a training starts from: a job's, or (None) the base model's."""
        if key:
            return self._address(key)
        base = self._prepared.resolved.base
        if base is not None:
            return base["weights"]
        scratch = self.plan.study.base.scratch
        assert scratch is not None
        return {"scratch": architecture(scratch), "tokenizer": self._prepared.tokenizer}

    def _data(self, task: str, declared: Mapping[str, Any]) -> dict[str, Any]:
        length = declared["training"]["max_length"]
        languages = self.plan.training_languages(task)
        return {
            "task": task,
            "data": [self._prepared.unit(task, "train", code, length) for code in languages],
        }


def _addressed(found: Mapping[str, Any]) -> dict[str, Any]:
    """What an address has of settings: all of them, later ones where they are no longer None."""
    return {k: v for k, v in found.items() if k not in LATER or v != LATER[k]}
