"""What every kind is, and what several kinds do alike."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from sweeper.errors import DataError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card
    from sweeper.tasks.formats import Parser

Row: TypeAlias = dict[str, Any]
Tokenizer: TypeAlias = Any
"""A fast transformers tokenizer; untyped, since transformers is imported only where it is used."""

CHUNK = 4096
"""Rows tokenised at once: enough to keep all threads busy, few enough to keep memory small."""

TEXTS, LISTS = ("text", "pair", "question", "context", "prompt"), ("tokens", "choices")
"""The fields of rows, of whatever kind, that are texts, or lists of texts."""

IGNORED = -100
"""The label of a position that is not scored, as torch's cross entropy has it."""


class Encoded(NamedTuple):
    """The encoded rows of one unit (one split in one language).

    ``features`` are what a model is fed, one row per input sequence; ``examples`` are what is
    scored. ``features["example"]`` is the row number in ``examples``; the features of an example
    are consecutive and in order.
    """

    features: pa.Table
    examples: pa.Table


@dataclass(frozen=True)
class Evaluation:
    """The outcome of one unit; the lists have one entry per example.

    ``metrics`` are percentages (0..100), but ``loss`` is in nats. ``score`` is the example's own
    share where it is not all or nothing: the percentage of its words tagged right, its mean loss.
    ``ranking`` is of a kind that ranks candidates, and theirs are ids that name one each: a
    question's best ones, best first.
    """

    metrics: dict[str, float]
    predicted: list[str]
    correct: list[bool | None]
    score: list[float | None]
    ranking: list[list[str] | None] | None = None


class Unit(NamedTuple):
    """One unit and a model's outputs for it, which are aligned with the rows of ``features``."""

    split: str
    language: str
    examples: pa.Table
    features: pa.Table
    outputs: Sequence[Any]


class RowFault(Exception):
    """A row breaks a rule; the reader turns this into a `DataError` that names file and line.

    ``index`` is the place within the row (the number of a token), for formats that give every
    token a line of its own.
    """

    def __init__(self, broken: str, advice: str, index: int = 0) -> None:
        """``broken`` is the rule and the value that breaks it, ``advice`` what to do."""
        super().__init__(broken)
        self.broken = broken
        self.advice = advice
        self.index = index


class Kind(ABC):
    """One way to make examples out of rows and scores out of a model's outputs."""

    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    """The fields that a row must have; every row also has ``id``."""
    optional: ClassVar[tuple[str, ...]] = ()
    label_field: ClassVar[str | None] = None
    """The field that holds a label, or a list of labels, of the card."""
    metric: ClassVar[str]
    """The metric by which a checkpoint is chosen; see `main_metric` for what is shown."""
    higher_is_better: ClassVar[bool] = True
    needs_training: ClassVar[bool] = True
    """Whether a head has to be trained before the task can be scored."""
    formats: ClassVar[Mapping[str, Parser]] = {}
    """File formats that only this kind can read, beside those of `sweeper.tasks.formats`."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """The scorers among which a card's `metric` chooses; the first is the default."""
    options: ClassVar[Mapping[str, Any]] = {}
    """The settings that a card's `options` can change, with the kind's own values."""
    document_field: ClassVar[str | None] = None
    """The field that holds a document, if several rows may be about one."""
    whole: ClassVar[bool] = False
    """Whether rows need other rows of their unit, so that all are read to choose the `first`."""

    @abstractmethod
    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """The row made of raw ``values``; `RowFault` if they break a rule of this kind."""

    @abstractmethod
    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Token ids of the rows, at most ``max_length`` per feature, special tokens included."""

    @abstractmethod
    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """Scores of ``outputs``, which are aligned with the rows of ``features``."""

    def main_metric(self, card: Card) -> str:
        """The metric that a cell of the matrix is filled with, for a task of this kind."""
        return self.metric

    def first(self, rows: Sequence[Row], count: int) -> list[Row]:
        """What a limit of ``count`` examples leaves of a unit's rows, in their order."""
        return list(rows[:count])

    def lack(self, rows: Sequence[Row]) -> str:
        """What the rows of a unit lack, taken together; empty if it can be scored with them."""
        return ""

    def asked(self, rows: Sequence[Row]) -> dict[str, str]:
        """Of rows that ask for rows of this unit or its companions: id -> what they ask for."""
        return {}

    def answered(self, rows: Sequence[Row]) -> set[str]:
        """What the rows of a unit are the answer to."""
        return set()

    def limited(self, split: str) -> bool:
        """Whether a study's limits hold for a split of this name."""
        return True

    def companions(self, card: Card, split: str, language: str) -> tuple[tuple[str, str], ...]:
        """The other units, as (split, language), without which a unit cannot be scored.

        They have to be given to `evaluate_units` along with it.
        """
        return ()

    def evaluate_units(self, card: Card, units: Mapping[str, Unit]) -> dict[str, Evaluation]:
        """Scores of several units of a checkpoint, by the units' names.

        A kind whose units depend on each other, by a threshold or a common pool of candidates,
        has its own way here; others score each unit alone.
        """
        return {
            name: self.evaluate(card, unit.examples, unit.features, unit.outputs)
            for name, unit in units.items()
        }


# ---- rows -------------------------------------------------------------------------------------


def text_of(values: Mapping[str, Any], field: str) -> str:
    """The text in ``field``, or `RowFault`. An empty text is a text."""
    text = values.get(field)
    if not isinstance(text, str):
        raise RowFault(
            f"the field {field!r} must be a text, it is {shown(text)}",
            "Mend the row, or name another column in the card's `columns:`",
        )
    return text


def texts_of(row: Row) -> Iterator[list[str]]:
    """The texts of a row, of whatever kind, field by field: one, or those of a list."""
    yield from ([row[field]] for field in TEXTS if field in row)
    yield from (list(row[field]) for field in LISTS if field in row)


def label_of(values: Mapping[str, Any], card: Card, field: str = "label") -> str:
    """The label in ``field``, which must be one of the card's; else `RowFault`."""
    label = values.get(field)
    check_label(label, card, 0)
    return str(label)


def check_label(label: Any, card: Card, index: int) -> None:
    """`RowFault` unless ``label`` is one of the card's labels."""
    if label not in card.labels:
        raise RowFault(
            f"a label must be one of the labels of the task {card.name!r}, it is {shown(label)}",
            f"Mend the row, or map the label in the card.{suggest(str(label), card.labels)}",
            index,
        )


def shown(value: Any, most: int = 80) -> str:
    """``value`` as a message shows it: quoted, and cut if it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


# ---- encoding ---------------------------------------------------------------------------------


def tokenized(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int,
    pairs: Sequence[str] | None = None,
) -> pa.Array:
    """Token ids (list<int32>), special ones included; of a long input the longer part is cut."""
    check_room(tokenizer, max_length, pair=pairs is not None)

    def chunks() -> Iterator[list[list[int]]]:
        for start in range(0, len(texts), CHUNK):
            part = slice(start, start + CHUNK)
            encoded = tokenizer(
                list(texts[part]),
                None if pairs is None else list(pairs[part]),
                truncation=True,
                max_length=max_length,
                return_attention_mask=False,
                return_token_type_ids=False,
            )
            yield encoded["input_ids"]

    return integer_lists(chunks())


def check_room(tokenizer: Tokenizer, max_length: int, *, pair: bool) -> int:
    """How many subwords fit beside the special tokens; `DataError` if not one per part."""
    special: int = tokenizer.num_special_tokens_to_add(pair)
    least = special + (2 if pair else 1)
    if max_length < least:
        raise DataError(
            f"`max_length` must be at least {least}, since {special} special tokens stand around "
            f"the text; it is {max_length}. Raise it in the study's `training:`."
        )
    return max_length - special


class Frame(NamedTuple):
    """The special tokens before, between and after the two parts of an input."""

    before: list[int]
    between: list[int]
    after: list[int]


def pair_frame(tokenizer: Tokenizer) -> Frame:
    """What ``tokenizer`` puts around a pair: of XLM-R <s>, </s></s> and </s>."""
    return Frame(*special_ids(tokenizer, 2))


def special_ids(tokenizer: Tokenizer, parts: int) -> list[list[int]]:
    """The special tokens before the first part of an input, after it, and so on."""
    options = {"return_attention_mask": False, "return_token_type_ids": False}
    bare = tokenizer("a", add_special_tokens=False, **options)["input_ids"]
    rest = tokenizer(*["a"] * parts, **options)["input_ids"]
    found = []
    for _ in range(parts):
        at = next(n for n in range(len(rest)) if rest[n : n + len(bare)] == bare)
        found.append(rest[:at])
        rest = rest[at + len(bare) :]
    return [*found, rest]


def bare_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
    """The subwords of each text, however many, without special tokens."""
    for start in range(0, len(texts), CHUNK):
        encoded = tokenizer(
            list(texts[start : start + CHUNK]),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        yield from encoded["input_ids"]


def unit_language(table: pa.Table) -> str:
    """The language that a prepared unit says it is in; `DataError` if it does not say."""
    about = (table.schema.metadata or {}).get(b"sweeper")
    language = json.loads(about).get("language") if about else None
    if not isinstance(language, str):
        raise DataError(
            "This metric depends on the language, and the unit does not say its own. Score units "
            "that were written by `prepare_unit`."
        )
    return language


def integer_lists(chunks: Iterable[Sequence[Sequence[int]]]) -> pa.Array:
    """One list<int32> array of all chunks; they are converted one by one to save memory."""
    import pyarrow as pa

    kind = pa.list_(pa.int32())
    arrays = [pa.array(chunk, kind) for chunk in chunks]
    return pa.concat_arrays(arrays) if arrays else pa.array([], kind)


def integers(values: Iterable[int]) -> pa.Array:
    """An int32 array."""
    import pyarrow as pa

    return pa.array(list(values), pa.int32())


def strings(values: Iterable[str]) -> pa.Array:
    """A string array."""
    import pyarrow as pa

    return pa.array(list(values), pa.string())


def check_aligned(features: pa.Table, outputs: Sequence[Any]) -> None:
    """`DataError` unless there is one output per feature."""
    if len(outputs) != features.num_rows:
        raise DataError(
            f"Scoring needs one output per feature: there are {features.num_rows} features and "
            f"{len(outputs)} outputs. Score the unit again."
        )
