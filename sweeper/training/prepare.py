"""Prepare jobs: training a tokenizer, encoding units. No model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeper.jobs import Clock, JobSpec, Outcome, Progress
from sweeper.tasks import encoding, readers, tokenizers
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import texts_of
from sweeper.training.references import Files, Run, card_of, root_of, tokenizer_of


def prepare(spec: JobSpec, files: Files, folder: Path, clock: Clock) -> Run:
    """Train a tokenizer into ``folder/tokenizer``, or encode units into ``folder/<language>``."""
    if spec.inputs["do"] == "tokenizer":
        return (yield from _prepare_tokenizer(spec, folder, clock))
    return (yield from _prepare_data(spec, files, folder, clock))


def _prepare_tokenizer(spec: JobSpec, folder: Path, clock: Clock) -> Run:
    text = spec.inputs["text"]
    root = root_of(spec.inputs)
    card = card_of(text["card"])
    yield Progress("prepare", 0, 1, "training a tokenizer")
    with clock("compute"):
        clock.batch()
        left_out: dict[str, list[str]] = {}
        texts = _texts(card, text, root, left_out)
        tokenizers.train(texts, spec.inputs["vocabulary"], folder / "tokenizer")
    count = sum(map(len, left_out.values()))
    counts = dict.fromkeys(spec.units, count) if count else {}
    return Outcome(message=_told(left_out), skipped=counts, steps=1)


def _texts(
    card: Card, text: Mapping[str, Any], root: Path | None, left_out: dict[str, list[str]]
) -> Iterator[str]:
    for language, resolution in text["languages"].items():
        skipped: list[str] | None = [] if text.get("keep_going") else None
        rows = readers.read(
            card, text["split"], language, resolution, root, text["limit"], skipped
        )
        if skipped:
            left_out[language] = skipped
        for row in rows:
            yield from (" ".join(texts) for texts in texts_of(row))


def _prepare_data(spec: JobSpec, files: Files, folder: Path, clock: Clock) -> Run:
    inputs = spec.inputs
    card, split, root = card_of(inputs["card"]), inputs["split"], root_of(inputs)
    with clock("setup"):
        tokenizer = tokenizer_of(inputs["tokenizer"], files)
    languages = [name for name in inputs["languages"] if not spec.units or name in spec.units]
    seen = 0
    left_out: dict[str, list[str]] = {}
    for number, language in enumerate(languages):
        yield Progress("prepare", number, len(languages), f"{card.name}/{split}/{language}")
        with clock("data"):
            resolution = inputs["languages"][language]
            skipped: list[str] | None = [] if inputs.get("keep_going") else None
            rows = readers.read(card, split, language, resolution, root, inputs["limit"], skipped)
            if skipped:
                left_out[language] = skipped
        with clock("compute"):
            clock.batch()
            target = folder / language
            length = inputs["max_length"]
            count = len(skipped or ())
            encoding.prepare_unit(card, split, language, rows, tokenizer, length, target, count)
        seen += len(rows)
    counts = {language: len(faults) for language, faults in left_out.items()}
    return Outcome(
        message=_told(left_out), skipped=counts, steps=len(languages), examples_seen=seen
    )


def _told(left_out: Mapping[str, list[str]]) -> str:
    """How many rows of which languages were left out, and the first of them; empty if none."""
    if not left_out:
        return ""
    counts = ", ".join(f"{language} {len(faults)}" for language, faults in left_out.items())
    first = next(iter(left_out.values()))[0]
    return f"left out broken rows: {counts}; the first: {first}"
