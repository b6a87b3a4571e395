"""What job inputs refer to: cards, tokenizers, weights and prepared units."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from sweeper.errors import ModelError
from sweeper.jobs import JobSpec, Outcome, Progress
from sweeper.tasks import encoding, tokenizers
from sweeper.tasks.card import Card
from sweeper.training.models import Head, Heads, Source
from sweeper.training.resume import PointFiles, ResumePoints


class Files(PointFiles, Protocol):
    """What a job needs of `sweeper.store.files.StoreFiles`."""

    def local(self, relative: str) -> Path:
        """The local path of a committed attempt's file or folder."""

    def names(self, folder: str) -> list[str]:
        """The names in one of the store's folders."""


Run: TypeAlias = Generator[Progress, None, Outcome]


def card_of(data: Mapping[str, Any]) -> Card:
    """A card from its JSON."""
    # Through JSON: the card is strict, and a list is a tuple only there.
    return Card.model_validate_json(json.dumps(data))


def head_of(card: Card) -> Head:
    """What a model predicts for a task."""
    return Head(card.name, card.kind, tuple(card.labels), dict(card.options))


def root_of(inputs: Mapping[str, Any]) -> Path | None:
    """The folder of the local files, if there is one."""
    return Path(inputs["root"]) if inputs.get("root") else None


def source_of(reference: Mapping[str, Any], files: Files) -> Source:
    """Where the weights of a model reference are."""
    if "scratch" in reference:
        return Source(scratch=dict(reference["scratch"]))
    return Source(*_place(reference, files))


def tokenizer_of(reference: Mapping[str, Any], files: Files) -> Any:
    """The tokenizer of a reference."""
    return tokenizers.load(*_place(reference, files))


def _place(reference: Mapping[str, Any], files: Files) -> tuple[str, str | None]:
    """A reference as (folder or hub id, revision)."""
    if "path" in reference:
        return str(files.local(reference["path"])), None
    if "folder" in reference:
        return str(reference["folder"]), None
    return str(reference["hub"]), reference["revision"]


def unit_of(reference: str, files: Files) -> tuple[pa.Table, pa.Table]:
    """A prepared unit: its features and its examples."""
    return encoding.open_unit(files.local(reference))


def check_lengths(what: str, longest: int, model: Heads) -> None:
    """Raise `ModelError` if inputs are longer than the model has positions for."""
    if longest > model.longest:
        raise ModelError(
            f"{what} has inputs of {longest} subwords, the model has positions for "
            f"{model.longest}. Lower `max_length` in the study's training."
        )


def points_of(spec: JobSpec, files: Files) -> ResumePoints:
    """The resume points of a job."""
    return ResumePoints(files, spec.address)
