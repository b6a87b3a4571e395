"""The columns of a matrix: which languages of which targets each of them is the mean of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sweeper.analysis.cell import Column, Member
from sweeper.analysis.view import View
from sweeper.errors import StoreError, suggest
from sweeper.languages import language
from sweeper.tasks import kinds

AXES = ("task", "language", "family", "script", "category")

_CATEGORIES = {
    "classification": "classification",
    "multiple_choice": "classification",
    "token_classification": "tagging",
    "span_extraction": "qa",
    "sentence_retrieval": "retrieval",
    "bitext_mining": "retrieval",
    "answer_retrieval": "retrieval",
    "masked_lm": "language modelling",
}
"""Kind -> category, as XTREME sorts its tasks; a kind that is not here is its own."""


def columns(view: View, by: str, wanted: Mapping[str, Sequence[str]]) -> tuple[Column, ...]:
    """The columns of a study's matrix.

    Args:
        view: The study.
        by: One of `AXES`.
        wanted: Target -> languages to average over in place of the zero-shot ones.

    Raises:
        StoreError: an unknown target or language.
    """
    for name in wanted:
        if name not in view.plan.columns:
            raise StoreError(f"Unknown target {name!r}.{suggest(name, view.plan.columns)}")
    found = [c for target in view.plan.columns for c in _of_target(view, target, by, wanted)]
    return tuple(_by_category(view, found) if by == "category" else found)


def _of_target(
    view: View, target: str, by: str, wanted: Mapping[str, Sequence[str]]
) -> Iterator[Column]:
    split, *others = view.plan.targets[target].splits
    zero_shot = {
        part.language: part.zero_shot
        for part in view.parts
        if part.target == target and part.split == split
    }
    for code in wanted.get(target, ()):
        if code not in zero_shot:
            raise StoreError(
                f"{target} has no language {code!r} in its split {split!r}."
                + suggest(code, zero_shot, most=60)
            )
    kind = kinds.get(view.plan.cards[target].kind)
    averaged = wanted.get(target) or [code for code, free in zero_shot.items() if free]
    every = wanted.get(target) or list(zero_shot)
    for group, codes in _groups(by, averaged, every).items():
        yield Column(
            target=target,
            group=group,
            members=(Member(target, split, codes),),
            metric=view.metric(target),
            unit="nats" if kind.metric == "loss" else "percent",
            others=tuple(others),
            zero_shot=all(zero_shot[code] for code in codes),
            selection=selection_rule(view, target),
            higher_is_better=kind.higher_is_better,
        )


def _groups(
    by: str, averaged: Sequence[str], every: Iterable[str]
) -> dict[str | None, tuple[str, ...]]:
    """Column by column: its label within the target, and the languages it is the mean of."""
    if by == "language":
        return {code: (code,) for code in every}
    if by not in ("family", "script"):
        return {None: tuple(averaged)}
    found: dict[str | None, tuple[str, ...]] = {}
    for code in averaged:
        label = str(getattr(language(code), by))
        found[label] = (*found.get(label, ()), code)
    return found


def _by_category(view: View, found: Iterable[Column]) -> Iterator[Column]:
    """Targets of one category as one column; one without a language to average is left out."""
    groups: dict[tuple[str, str, bool], list[Column]] = {}
    for column in found:
        kind = view.plan.cards[column.target].kind
        place = (_CATEGORIES.get(kind, kind), column.unit, column.higher_is_better)
        if column.languages:
            groups.setdefault(place, []).append(column)
    for (category, unit, higher), own in groups.items():
        yield Column(
            target=category,
            group=None,
            members=tuple(member for column in own for member in column.members),
            metric=", ".join(dict.fromkeys(column.metric for column in own)),
            unit=unit,
            others=(),
            zero_shot=all(column.zero_shot for column in own),
            selection="; ".join(f"{column.target}: {column.selection}" for column in own),
            higher_is_better=higher,
        )


def selection_rule(view: View, target: str) -> str:
    """How the winner of a search was picked for a target, in words."""
    selection = view.plan.targets[target].selection
    if selection is None:
        return "no selection: nothing is trained on the target"
    kind = kinds.get(view.plan.cards[selection.task or target].kind)
    first = "highest" if kind.higher_is_better else "lowest"
    return f"trial and epoch with the {first} {kind.metric} on {view.plan.selection_of(target)}"
