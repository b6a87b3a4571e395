"""Which sentences of two large sets translate each other?

After BUCC 2018 as XTREME scores it: pairs are mined by ratio margin (`metrics.mining`), and those
above a threshold count. The threshold is chosen on the split ``dev`` and used on all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks.formats.texts import parse_bucc
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
from sweeper.tasks.metrics import mining

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.tasks.card import Card

FOREIGN, ENGLISH = 0, 1
"""The two values of ``side``."""

CALIBRATION = "dev"
"""The split on which the threshold is chosen."""


class BitextMining(Kind):
    """Rows: ``text``, ``side`` (0 foreign, 1 English) and ``partner``, the id of its translation.

    Most sentences have no partner (""). Outputs: for a foreign feature that `mining.mine` pairs
    (its number among the English features of the unit, in their order, and the margin); else None.
    """

    name = "bitext_mining"
    fields = ("text", "side", "partner")
    metric = "f1"
    needs_training = False
    options = {"neighbours": mining.NEIGHBOURS}  # noqa: RUF012  (never changed)
    formats = {"bucc": parse_bucc}  # noqa: RUF012
    whole = True

    def row(self, values: Mapping[str, Any], card: Card) -> Row:
        """See `Kind.row`."""
        side = values.get("side")
        if side not in (FOREIGN, ENGLISH):
            raise RowFault(
                f"the field 'side' must be 0 (foreign) or 1 (English), it is {shown(side)}",
                "Mend the row",
            )
        partner = text_of(values, "partner")
        return {"text": text_of(values, "text"), "side": side, "partner": partner}

    def first(self, rows: Sequence[Row], count: int) -> list[Row]:
        """Per side ``count`` sentences: the first half in the first pairs, the others without.

        Pairs are rare: the first sentences of a file have none, or theirs is far down the other.
        """
        foreign = [row for row in rows if row["side"] == FOREIGN and row["partner"]]
        pairs = foreign[: (count + 1) // 2]
        kept = {(FOREIGN, row["id"]) for row in pairs}
        kept |= {(ENGLISH, row["partner"]) for row in pairs}
        for side in (FOREIGN, ENGLISH):
            alone = [row["id"] for row in rows if row["side"] == side and not row["partner"]]
            kept |= {(side, name) for name in alone[: count - len(pairs)]}
        return [row for row in rows if (row["side"], row["id"]) in kept]

    def lack(self, rows: Sequence[Row]) -> str:
        """Without a pair there is nothing to find, and no threshold to choose."""
        paired = any(row["side"] == FOREIGN and row["partner"] for row in rows)
        return "" if paired else "at least one pair of sentences that translate each other"

    def encode(
        self, rows: Sequence[Row], card: Card, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        """Features and examples: every distinct sentence of each side once, foreign ones first.

        Features: ``input_ids``, ``example``, ``side``. Examples: ``id``, ``side``, ``gold`` (of a
        foreign sentence: the id of its translation, "" if it has none), ``named``: whether the
        sentence occurs once; one that occurs more often has no id for XTREME, and its pairs do
        not count. ``lost`` is the number of gold pairs that cannot be found for that reason.
        """
        import pyarrow as pa

        kept: list[Row] = []
        named: list[bool] = []
        once: dict[str, bool] = {}
        for side in (FOREIGN, ENGLISH):
            mine = [row for row in rows if row["side"] == side]
            texts = [row["text"] for row in mine]
            known = set(mining.names([row["id"] for row in mine], texts).values())
            once |= {row["id"]: row["id"] in known for row in mine}
            chosen = [mine[at] for at in mining.once(texts)]
            kept += chosen
            named += [row["id"] in known for row in chosen]
        foreign = [row for row in rows if row["side"] == FOREIGN and row["partner"]]
        lost = sum(not (once[row["id"]] and once.get(row["partner"], False)) for row in foreign)
        found = [
            row["partner"] if row["side"] == FOREIGN and name and once.get(row["partner"]) else ""
            for row, name in zip(kept, named, strict=True)
        ]
        sides = pa.array([row["side"] for row in kept], pa.int8())
        features = {
            "input_ids": tokenized(tokenizer, [row["text"] for row in kept], max_length),
            "example": integers(range(len(kept))),
            "side": sides,
        }
        examples = {
            "id": strings(row["id"] for row in kept),
            "gold": strings(found),
            "side": sides,
            "named": pa.array(named, pa.bool_()),
            "lost": integers([lost] * len(kept)),
        }
        return Encoded(pa.table(features), pa.table(examples))

    def companions(self, card: Card, split: str, language: str) -> tuple[tuple[str, str], ...]:
        """The dev unit of the language, for the threshold."""
        return () if split == CALIBRATION else ((CALIBRATION, language),)

    def evaluate(
        self, card: Card, examples: pa.Table, features: pa.Table, outputs: Sequence[Any]
    ) -> Evaluation:
        """`evaluate_at` the threshold that is best for this very unit: right for dev alone."""
        check_aligned(features, outputs)
        return self.evaluate_at(examples, outputs, self.threshold(examples, outputs))

    def evaluate_units(self, card: Card, units: Mapping[str, Unit]) -> dict[str, Evaluation]:
        """Every unit at the threshold of the dev unit of its language; see `evaluate_at`.

        Raises:
            DataError: a unit comes without the dev unit of its language.
        """
        thresholds = {}
        for unit in units.values():
            check_aligned(unit.features, unit.outputs)
            if unit.split == CALIBRATION:
                thresholds[unit.language] = self.threshold(unit.examples, unit.outputs)
        for name, unit in units.items():
            if unit.language not in thresholds:
                raise DataError(
                    f"The threshold for {card.name}/{name} is chosen on the split "
                    f"{CALIBRATION!r} in the language {unit.language!r}, which is not scored "
                    "along with it. Score both at once."
                )
        return {
            name: self.evaluate_at(unit.examples, unit.outputs, thresholds[unit.language])
            for name, unit in units.items()
        }

    def threshold(self, examples: pa.Table, outputs: Sequence[Any]) -> float:
        """The margin from which pairs are taken, best for the F1 of this unit."""
        return mining.best_threshold(candidates(examples, outputs), _gold(examples))

    def evaluate_at(
        self, examples: pa.Table, outputs: Sequence[Any], threshold: float
    ) -> Evaluation:
        """Metrics: ``f1``, ``precision``, ``recall``, ``threshold`` (a margin, no percentage).

        Per foreign sentence: the id that it is paired with ("" for none), whether that is right,
        and the margin of its candidate; English sentences have none of these.
        """
        found = candidates(examples, outputs)
        taken = mining.extracted(found, threshold)
        scores = mining.pair_f1(_gold(examples), taken)
        said = dict(taken)
        margins = {one: margin for (one, _), margin in found.items()}
        rows = list(
            zip(
                examples["id"].to_pylist(),
                examples["gold"].to_pylist(),
                examples["side"].to_pylist(),
                strict=True,
            )
        )
        return Evaluation(
            {**scores, "threshold": threshold},
            [said.get(name, "") if side == FOREIGN else "" for name, _, side in rows],
            [said.get(n, "") == gold if side == FOREIGN else None for n, gold, side in rows],
            [margins.get(name) if side == FOREIGN else None for name, _, side in rows],
        )


def candidates(examples: pa.Table, outputs: Sequence[Any]) -> dict[mining.Pair, float]:
    """The mined pairs of which both sentences have an id, with their margins."""
    names = examples["id"].to_pylist()
    named = examples["named"].to_pylist()
    english = [at for at, side in enumerate(examples["side"].to_pylist()) if side == ENGLISH]
    found = {}
    for at, output in enumerate(outputs):
        if output is None:
            continue
        other = english[int(output[0])]
        if named[at] and named[other]:
            found[names[at], names[other]] = float(output[1])
    return found


def _gold(examples: pa.Table) -> list[mining.Pair]:
    """The gold pairs; those that cannot be found count too, under names that no pair has."""
    pairs = zip(examples["id"].to_pylist(), examples["gold"].to_pylist(), strict=True)
    lost = examples["lost"][0].as_py() if examples.num_rows else 0
    return [*((one, other) for one, other in pairs if other), *(("", str(n)) for n in range(lost))]


KIND = BitextMining()
