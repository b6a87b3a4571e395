"""For every question the right answers are looked up among the candidates of all languages.

LAReQA asks for the sentence that answers a question, in any language; Mewsli-X for the entity that
a mention in a text means, by its description. Candidates are pooled over the units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeper.errors import DataError
from sweeper.tasks.formats.documents import parse_xquad_r
from sweeper.tasks.formats.mewsli import parse_entities, parse_mentions
from sweeper.tasks.kinds.base import (
    Encoded,
    Evaluation,
    Kind,
    Row,
    RowFault,
    Tokenizer,
    Unit,
    check_aligned,
    integers,
    shown,
    strings,
    text_of,
    tokenized,
)
from sweeper.tasks.metrics import ranking

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card

QUESTION, CANDIDATE = 0, 1
"""The two values of ``side``."""

ROLES = {"question": QUESTION, "candidate": CANDIDATE}

POOL = "candidates"
"""The split of a card whose candidates are the same for every language's questions."""


def named_by_key(card: Card) -> bool:
    """Whether the id of every candidate is the one key that it answers, as an entity's is.

    Rankings can then be scored without the candidates, of which Mewsli-X has a million.
    """
    source = card.sources.get("local")
    members = () if source is None else source.members(POOL)
    formats = {member.format for _, member in members}
    return POOL in card.splits and formats == {"mewsli_entities"}


class AnswerRetrieval(Kind):
    """Rows: ``text`` and ``role``; a question's ``key``, a candidate's ``answers`` (keys).

    A candidate is right for the questions whose key is among its answers. Outputs: for a question
    the numbers of its best candidates in the pool, best first, at least ``cutoff`` of the card or
    all; for a candidate None. The pool is all candidates of all units, in the order of the units
    and of their features.
    """

    name = "answer_retrieval"
    fields = ("text", "role")
    optional = ("key", "answers")
    metric = "map@20"
    needs_training = False
    options = {"cutoff": ranking.CUTOFF}  # noqa: RUF012  (never changed)
    formats = {  # noqa: RUF012
        "xquad_r": parse_xquad_r,
        "mewsli_mentions": parse_mentions,
        "mewsli_entities": parse_entities,
    }
    whole = True

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        role = values.get("role")
        if role not in ROLES:
            raise RowFault(
                f"the field 'role' must be 'question' or 'candidate', it is {shown(role)}",
                "Mend the row",
            )
        if role == "question":
            keys = [text_of(values, "key")]
        else:
            keys = values.get("answers") or []
            if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
                raise RowFault(
                    f"the field 'answers' must be a list of texts, it is {shown(keys)}",
                    "Mend the row",
                )
        return {"text": text_of(values, "text"), "role": role, "keys": keys}

    def main_metric(self, card: Card) -> str:
        """``map@20``, or at what the card's `cutoff` is."""
        return f"map@{card.option('cutoff')}"

    def first(self, rows: Sequence[Row], count: int) -> list[Row]:
        """The first ``count`` questions, their answers, and others up to ``count`` candidates."""
        questions = [row for row in rows if row["role"] == "question"][:count]
        keys = {key for row in questions for key in row["keys"]}
        candidates = [row for row in rows if row["role"] == "candidate"]
        right = [row for row in candidates if keys & set(row["keys"])]
        wrong = [row for row in candidates if not keys & set(row["keys"])]
        kept = {row["id"] for row in [*questions, *right, *wrong[: max(0, count - len(right))]]}
        return [row for row in rows if row["id"] in kept]

    def asked(self, rows: Sequence[Row]) -> dict[str, str]:
        """The questions' keys."""
        return {row["id"]: row["keys"][0] for row in rows if row["role"] == "question"}

    def answered(self, rows: Sequence[Row]) -> set[str]:
        """The keys that candidates answer."""
        return {key for row in rows if row["role"] == "candidate" for key in row["keys"]}

    def limited(self, split: str) -> bool:
        """Not for candidates in a split of their own, which hold the answers of all languages.

        What the questions that a limit leaves ask for cannot be told from one language's.
        """
        return split != POOL

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features: ``input_ids``, ``example``, ``side`` (0 question, 1 candidate).

        Examples, one per feature: ``id``, ``gold`` (a question's key), ``side``, ``keys``.
        """
        import pyarrow as pa

        sides = pa.array([ROLES[row["role"]] for row in rows], pa.int8())
        features = {
            "input_ids": tokenized(tokenizer, [row["text"] for row in rows], max_length),
            "example": integers(range(len(rows))),
            "side": sides,
        }
        questions = (row["keys"][0] if row["role"] == "question" else "" for row in rows)
        examples = {
            "id": strings(row["id"] for row in rows),
            "gold": strings(questions),
            "side": sides,
            "keys": pa.array([row["keys"] for row in rows], pa.list_(pa.string())),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def companions(self, card: Card, split: str, language: str) -> tuple[tuple[str, str], ...]:
        """All languages of the split, and of the split of candidates if the card has one."""
        splits = [split] + ([POOL] if POOL in card.splits and split != POOL else [])
        units = [(name, code) for name in splits for code in card.splits[name].languages]
        return tuple(unit for unit in units if unit != (split, language))

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """The unit with its own candidates only."""
        return self.evaluate_units(card, {"": Unit("", "", examples, features, outputs)})[""]

    def evaluate_units(self, card: Card, units: Mapping[str, Unit]) -> dict[str, Evaluation]:
        """Metrics of each unit's questions against the pool: ``map@20``, ``mrr@20``.

        The numbers are those of the card's ``cutoff``. Per question: the id of the best candidate,
        whether it is right, the average precision in percent, and the ids of the ``cutoff`` best
        (none at all if two candidates of the pool share an id, which then says too little). A unit
        of candidates alone has no metrics. For Mewsli-X, which has one right entity, mrr@20 is
        what XTREME-R calls map@20.
        """
        pool = _Pool.of(units)
        return {name: self._unit(card, unit, pool) for name, unit in units.items()}

    def _unit(self, card: Card, unit: Unit, pool: _Pool) -> Evaluation:
        check_aligned(unit.features, unit.outputs)
        cutoff = card.option("cutoff")
        sides = unit.examples["side"].to_pylist()
        keys = unit.examples["gold"].to_pylist()
        names = unit.examples["id"].to_pylist()
        predicted = [""] * len(sides)
        correct: list[bool | None] = [None] * len(sides)
        score: list[float | None] = [None] * len(sides)
        best: list[list[str] | None] = [None] * len(sides)
        rankings, wanted = [], []
        for at in (at for at, side in enumerate(sides) if side == QUESTION):
            ranked = [int(number) for number in unit.outputs[at]]
            if len(ranked) < min(cutoff, len(pool.names)):
                raise DataError(
                    f"A question needs its {cutoff} best candidates ranked; {names[at]!r} has "
                    f"{len(ranked)}. Score the unit again."
                )
            golds = pool.right.get(keys[at], set())
            if not golds:
                raise DataError(
                    f"A question must have a right candidate in the pool; {names[at]!r} has none. "
                    "Score all languages of the split, and its candidates, at once; and if a "
                    "limit cuts off candidates of another language, lift it."
                )
            rankings.append(ranked)
            wanted.append(golds)
            best[at] = [pool.names[number] for number in ranked[:cutoff]]
            predicted[at] = pool.names[ranked[0]]
            correct[at] = ranked[0] in golds
            score[at] = 100.0 * ranking.average_precision(ranked, golds, cutoff)
        found = {
            self.main_metric(card): ranking.mean_average_precision(rankings, wanted, cutoff),
            f"mrr@{cutoff}": ranking.mean_reciprocal_rank(rankings, wanted, cutoff),
        } if rankings else {}  # fmt: skip
        return Evaluation(found, predicted, correct, score, best if pool.named else None)


class _Pool(NamedTuple):
    """The candidates of all units, numbered in the order of the units and of their features.

    ``names`` are their ids, ``right`` has the numbers of those that answer a key, and ``named``
    says whether an id names one candidate alone.
    """

    names: list[str]
    right: dict[str, set[int]]
    named: bool

    @classmethod
    def of(cls, units: Mapping[str, Unit]) -> _Pool:
        names: list[str] = []
        right: dict[str, set[int]] = {}
        for unit in units.values():
            columns = (unit.examples[name].to_pylist() for name in ("id", "keys", "side"))
            for name, keys, side in zip(*columns, strict=True):
                if side == CANDIDATE:
                    for key in keys:
                        right.setdefault(key, set()).add(len(names))
                    names.append(name)
        return cls(names, right, len(set(names)) == len(names))


KIND = AnswerRetrieval()
