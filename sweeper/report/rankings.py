"""Scoring files of rankings in XTREME's layout: of LAReQA, Mewsli-X, and tasks like them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sweeper.errors import DataError, suggest
from sweeper.report import layout
from sweeper.report.layout import Found
from sweeper.report.scorers import Scored, answered
from sweeper.tasks import kinds
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.answer_retrieval import named_by_key
from sweeper.tasks.kinds.base import Row, shown
from sweeper.tasks.metrics import ranking

Read: TypeAlias = Callable[[Card, str, str], Sequence[Row]]
"""The rows of a task's split in a language."""

Pool: TypeAlias = dict[str, list[str]]
"""Candidate -> the keys that it answers, in all languages."""


class Rankings:
    """Scores rankings; the candidates of a task are read once, for all its files."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._pools: dict[tuple[str, str], Pool] = {}

    def score(self, found: Found, card: Card, rows: Sequence[Row]) -> Scored:
        """``map@20`` and ``mrr@20`` of a file (or what the card's cutoff is), and how many asked.

        A question without a ranking scores 0, as in XTREME's utils_mewslix.py.

        Raises:
            DataError: no question of the data is ranked, or a ranking is no list of candidates.
        """
        asked = [row for row in rows if row["role"] == "question"]
        keys = [row["keys"][0] for row in asked]
        names = layout.own_ids(card, [row["id"] for row in asked])
        given, notes = answered(found, dict.fromkeys(names), "ranking")
        for name, ranked in given.items():
            _check_list(found, name, ranked)
        cutoff = card.option("cutoff")
        if named_by_key(card):
            gold = {name: [key] for name, key in zip(names, keys, strict=True)}
            value = ranking.mewsli_x(gold, given, cutoff)
            # Of one right candidate the average precision is the reciprocal of its rank.
            return Scored({f"map@{cutoff}": value, f"mrr@{cutoff}": value}, len(names), notes)
        pool = self._pool(found, card)
        _check_known(found, given, pool)
        right: dict[str, set[str]] = {}
        for candidate, answers in pool.items():
            for key in answers:
                right.setdefault(key, set()).add(candidate)
        rankings = [given.get(name, ()) for name in names]
        wanted = [right.get(key, set()) for key in keys]
        for name, golds in zip(names, wanted, strict=True):
            if not golds:
                raise DataError(
                    f"{found.path}: a question must have a right candidate in the data; {name!r} "
                    f"has none. Mend the data of {card.name}."
                )
        values = {
            f"map@{cutoff}": ranking.mean_average_precision(rankings, wanted, cutoff),
            f"mrr@{cutoff}": ranking.mean_reciprocal_rank(rankings, wanted, cutoff),
        }
        return Scored(values, len(names), notes)

    def _pool(self, found: Found, card: Card) -> Pool:
        split, code = found.split_of(card), found.language
        if (card.name, split) not in self._pools:
            units = ((split, code), *kinds.get(card.kind).companions(card, split, code))
            self._pools[card.name, split] = self._candidates(found, card, units)
        return self._pools[card.name, split]

    def _candidates(self, found: Found, card: Card, units: Sequence[tuple[str, str]]) -> Pool:
        pool: Pool = {}
        for unit in units:
            rows = [row for row in self._read(card, *unit) if row["role"] == "candidate"]
            names = layout.own_ids(card, [row["id"] for row in rows])
            for name, row in zip(names, rows, strict=True):
                if name in pool:
                    raise DataError(
                        f"{found.path}: a ranking names its candidates, so that each must have an "
                        f"id of its own in all languages of {card.name}; {name!r} has another "
                        f"one's (found in {'/'.join(unit)}). Give the data such ids, and predict "
                        "again."
                    )
                pool[name] = row["keys"]
        return pool


def _check_list(found: Found, name: str, ranked: Any) -> None:
    if not isinstance(ranked, list) or not all(isinstance(one, str) for one in ranked):
        raise DataError(
            f"{found.path}: a ranking must be a list of ids of candidates, best first; that of "
            f"{name!r} is {shown(ranked)}. Write it again."
        )


def _check_known(found: Found, given: Mapping[str, Sequence[str]], pool: Pool) -> None:
    for name, ranked in given.items():
        for candidate in ranked:
            if candidate not in pool:
                raise DataError(
                    f"{found.path}: a ranking must be of the candidates of {found.task}; that of "
                    f"{name!r} has {candidate!r}, which is none.{suggest(candidate, pool)}"
                )
