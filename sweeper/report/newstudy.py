"""Writing a study to begin with, out of a few answers: commented, and one that plans."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import StudyError, suggest
from sweeper.graph import Plan
from sweeper.planning import plan
from sweeper.study import Study
from sweeper.tasks import kinds
from sweeper.tasks.card import Card

BASE = "FacebookAI/xlm-roberta-base"


@dataclass(frozen=True)
class Answers:
    """What a person wants: names of tasks, seeds to run, rates to try, examples for a first look.

    ``limit`` is the number of training examples per language, None for all; dev and test splits
    have a tenth of it. ``tasks`` is a folder of cards of their own.
    """

    name: str
    base: str = BASE
    rows: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    seeds: int = 3
    rates: tuple[float, ...] = (1e-5, 2e-5, 3e-5)
    limit: int | None = None
    tasks: Path | None = None


@dataclass(frozen=True)
class _Usual:
    """What is usual for trainings of a kind; XTREME's baselines have these."""

    epochs: int = 3
    batch: int = 32
    length: int = 128


_USUAL = {
    "token_classification": _Usual(epochs=10),
    "span_extraction": _Usual(epochs=2, batch=16, length=384),
    "multiple_choice": _Usual(batch=16),
}


def rows_of(cards: Mapping[str, Card]) -> list[str]:
    """The tasks that can be rows: those that can be trained on."""
    return sorted(
        name
        for name, card in cards.items()
        if "train" in card.splits and kinds.get(card.kind).needs_training
    )


def targets_of(cards: Mapping[str, Card]) -> list[str]:
    """The tasks that can be columns: with a test split, and something to train on if needed."""
    return sorted(
        name
        for name, card in cards.items()
        if "test" in card.splits
        and (card.training_task or not kinds.get(card.kind).needs_training)
    )


def write_study(path: Path, answers: Answers, cards: Mapping[str, Card]) -> Plan:
    """Write a study that is not there yet, and plan it.

    Raises:
        StudyError: there is such a file, a task cannot be what it shall be, or the study cannot be
            planned: then nothing is left behind.
    """
    if not answers.targets:
        raise StudyError(f"A study needs a target at least.{suggest('', targets_of(cards))}")
    _check("row", answers.rows, rows_of(cards))
    _check("target", answers.targets, targets_of(cards))
    if answers.seeds < 1 or not answers.rates:
        raise StudyError("A study needs a seed and a learning rate at least. Give more of them.")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write("\n".join(_lines(answers, cards)) + "\n")
    except FileExistsError:
        raise StudyError(f"{path} is there already. Give another path, or remove it.") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        return plan(Study.load(path), cards=cards)
    except StudyError:
        path.unlink()
        raise


def _check(role: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise StudyError(f"{name!r} cannot be a {role}.{suggest(name, known, most=40)}")


def _lines(answers: Answers, cards: Mapping[str, Card]) -> Iterator[str]:
    yield _HEAD
    yield f"name: {_scalar(answers.name)}"
    if answers.tasks:
        yield f"tasks_path: {_scalar(str(answers.tasks.expanduser().absolute()))}"
        yield _DATA
    yield _BASE
    yield f"base: {{model: {_scalar(answers.base)}}}"
    yield _ROWS if answers.rows else _NO_ROWS
    yield from (_row(cards[name]) for name in answers.rows)
    yield _TARGETS
    yield from (_column(cards[name]) for name in answers.targets)
    yield _SEEDS
    yield f"seeds: [{', '.join(map(str, range(answers.seeds)))}]"
    yield _TRAINING
    trained = dict.fromkeys(cards[name].training_task for name in answers.targets)
    tasks = [task for task in trained if task]
    if tasks:
        yield _SPACES
        for task in tasks:
            yield from _space(cards[task], answers.rates)
    if answers.limit:
        part = max(1, answers.limit // 10)
        yield _LIMITS
        yield f"limits: {{train: {answers.limit}, dev: {part}, test: {part}}}"


_HEAD = """\
# A study of intermediate training. `sweeper plan` shows the jobs and the cost of this file,
# `sweeper run` does them, `sweeper matrix` shows what came of it. All keys: docs/studies.md."""
_DATA = """\
# The folder of their files, relative to this one; without this line SWEEPER_DATA names it.
# data: data"""
_BASE = """
# The encoder that everything starts from: a hub id, or a folder with a model."""
_ROWS = """
# The rows of the matrix: what the encoder is trained on first. `none`, the control, is always
# there. Several tasks make a mixture, such as `both: {tasks: [mnli, squad_v1]}`.
intermediates:"""
_NO_ROWS = """
# No rows but the control `none`. Tasks under `intermediates:` are compared with it."""
_TARGETS = """
# The columns: what is scored, in every language of the test split unless `languages` says.
targets:"""
_SEEDS = """
# Each seed repeats all of it: effects are often as small as the noise between seeds."""
_TRAINING = f"""
# Settings of every training, unless a row or a space says otherwise.
training: {{learning_rate: 1e-5, batch: 32, epochs: 3, max_length: {_Usual.length}}}"""
_SPACES = """
# How the targets' training tasks are trained, and what is tried: every row gets the same trials,
# and dev scores pick the winner.
spaces:"""
_LIMITS = """
# The first examples of each split, for a first look: take this out for real scores."""


def _scalar(text: str) -> str:
    """A text as YAML has it; JSON's quotes are YAML's, too."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*", text) else json.dumps(text)


def _row(card: Card) -> str:
    usual = _USUAL.get(card.kind, _Usual())
    own = f" {{training: {{max_length: {usual.length}}}}}" if usual.length != _Usual.length else ""
    return f"  {card.name}:{own} # {' '.join(card.title.split())}"


def _column(card: Card) -> str:
    told = f"trained on {card.training_task}" if card.training_task else "nothing is trained"
    return f"  {card.name}: # {' '.join(card.title.split())}; {told}"


def _space(card: Card, rates: Sequence[float]) -> Iterator[str]:
    usual = _USUAL.get(card.kind, _Usual())
    settings = f"epochs: {usual.epochs}, batch: {usual.batch}, max_length: {usual.length}"
    yield f"  {card.name}:"
    yield f"    training: {{{settings}}}"
    yield f"    search: {{learning_rate: [{', '.join(f'{rate:g}' for rate in rates)}]}}"
