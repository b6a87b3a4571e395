"""Addresses of prepared data: what decides the rows of a split, and how they are encoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sweeper.graph import TOKENIZER, Job, Plan
from sweeper.store.files import digest
from sweeper.tasks.card import Card, SyntheticSource
from sweeper.tasks.encoding import ENCODING_VERSION
from sweeper.tasks.sources import identity

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


class Prepared:
    """Computes the units of a plan's prepare jobs: these rest on what is resolved alone."""

    def __init__(self, plan: Plan, resolved: Resolved) -> None:
        self.plan = plan
        self.resolved = resolved
        self._units: dict[tuple[str, str, str, int], str] = {}

    def units(self, job: Job) -> dict[str, dict[str, Any]]:
        """Unit name -> what its address is the digest of: a language each, or the tokenizer."""
        if job.declared["do"] == "tokenizer":
            text = job.declared["text"]
            sources = {c: self._source(text["task"], "train", c) for c in text["languages"]}
            return {ONLY: {"tokenizer": sources, "size": job.declared["vocabulary"]}}
        task, split = job.declared["task"], job.declared["split"]
        return {
            code: self._data(task, split, code, job.declared["length"])
            for code in job.declared["languages"]
        }

    def unit(self, task: str, split: str, code: str, length: int) -> str:
        """The address of one language of a split, prepared for inputs of a length."""
        place = (task, split, code, length)
        if place not in self._units:
            self._units[place] = digest(self._data(task, split, code, length))
        return self._units[place]

    @cached_property
    def tokenizer(self) -> Any:
        """What the tokenizer is: the address of the one that is made, or the base model's."""
        if TOKENIZER in self.plan.jobs:
            return digest(self.units(self.plan.jobs[TOKENIZER])[ONLY])
        assert self.resolved.base is not None
        return self.resolved.base["tokenizer"]

    def _data(self, task: str, split: str, code: str, length: int) -> dict[str, Any]:
        return {
            "data": self._source(task, split, code),
            "length": length,
            "tokenizer": self.tokenizer,
            "version": ENCODING_VERSION,
        }

    def _source(self, task: str, split: str, code: str) -> dict[str, Any]:
        """What decides the rows of a split in a language: content, reading rules, limit."""
        resolution = self.resolved.sources[f"{task}/{split}/{code}"]
        card = self.plan.cards[task]
        going = {"keep_going": True} if self.plan.study.keep_going else {}
        return {
            **going,
            "content": identity(resolution),
            "kind": card.kind,
            "labels": list(card.labels),
            "reading": _reading(card, resolution["source"], split),
            "without": card.split(split).without,
            "options": card.options,
            "metric": card.scorer,
            "limit": self.plan.limit(task, split),
        }


def _reading(card: Card, source: str, split: str) -> Any:
    """A card's rules for reading a split: where its files lie is none of them."""
    told = {"files", "dataset", "config", "revision", "splits"}
    found = card.source(source)
    if isinstance(found, SyntheticSource):
        return found.model_dump(mode="json")
    members = found.members(split)
    return [[part, member.model_dump(mode="json", exclude=told)] for part, member in members]
