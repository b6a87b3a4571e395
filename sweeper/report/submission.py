"""Predictions of a store's checkpoints in XTREME's layout, out of the stored examples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.analysis.best import best
from sweeper.analysis.view import Part, View
from sweeper.errors import StoreError
from sweeper.report import layout, manifest
from sweeper.report.manifest import Told
from sweeper.tasks import kinds
from sweeper.tasks.card import Card

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Exported:
    """What was written, per target, and what was left out and why."""

    folder: Path
    targets: dict[str, Told] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """How many files of predictions there are."""
        return sum(len(told.files) for told in self.targets.values())


def export_predictions(
    view: View,
    folder: Path,
    *,
    targets: Sequence[str] | None = None,
    intermediate: str | None = None,
    seed: int | None = None,
) -> Exported:
    """Write a submission: the stored predictions of one checkpoint per target.

    The checkpoint is the best one as `sweeper.analysis.best.best` has it (by dev scores, so a
    target may take another row than its neighbour), of the row named, or of row and seed. No
    model is run. ``predictions.json`` in the folder says which checkpoint each target's are of,
    and of which rows of the data: the study's limits, and whether it left broken ones out. A
    target's files from an earlier export are replaced whole, other targets' stay.

    Args:
        view: The study.
        folder: Where to write.
        targets: Default: all; those that cannot be written yet are then left out and named.
        intermediate: A row of the study.
        seed: One of its seeds; goes with ``intermediate``.

    Raises:
        StoreError: an unknown name, a target named that cannot be written, or none can be; or the
            folder has files of a target that no export made and this one would not replace.
        DataError: the folder's ``predictions.json`` is broken.
    """
    if seed is not None and intermediate is None:
        raise StoreError("A seed alone names no checkpoint. Give `--intermediate` with it.")
    view.chosen(target=targets, intermediate=intermediate, seed=seed)  # unknown names
    wanted = list(targets or view.plan.columns)
    _check_strangers(view, folder, wanted)
    made = Exported(folder)
    for target in wanted:
        try:
            told, content = _prepared(view, target, intermediate, seed)
        except StoreError as error:
            if targets:
                raise
            made.left_out[target] = str(error)
            continue
        _replace(folder, target, told, content)
        made.targets[target] = told
    if not made.targets:
        reasons = " ".join(f"{target}: {reason}" for target, reason in made.left_out.items())
        raise StoreError(f"There are no predictions to export yet. {reasons}")
    return made


def _check_strangers(view: View, folder: Path, targets: Sequence[str]) -> None:
    """`StoreError` where an export would leave a target with files of two origins."""
    known = manifest.read(folder)
    for target in targets:
        card = view.plan.cards[target]
        place = folder / layout.folder_of(target)
        if layout.why_not(card) or not place.is_dir():
            continue
        parts = view.chosen(target=target)
        ours = {layout.file_of(card, part.split, part.language) for part in parts}
        ours |= set(known[target].files) if target in known else set()
        there = (path for path in sorted(place.iterdir()) if not path.name.startswith("."))
        for path in there:
            if path.relative_to(folder).as_posix() not in ours:
                raise StoreError(
                    f"A folder has a target's predictions of one checkpoint; {path} is none that "
                    "this export writes, and nothing says where it is from. Take it away, or "
                    "give another folder."
                )


def _replace(folder: Path, target: str, told: Told, content: Mapping[str, str]) -> None:
    """Put a target's files in the place of those of an earlier export, and tell of it.

    Killed in between it leaves files of which nothing is told, and never something wrong.
    """
    known = manifest.read(folder)
    before = known.pop(target, None)
    if before:
        _write(folder / layout.MANIFEST, manifest.content(known))
        _delete(folder, target, set(before.files) - set(content))
    for name, text in content.items():
        _write(folder / name, text)
    _write(folder / layout.MANIFEST, manifest.content({**known, target: told}))


def _delete(folder: Path, target: str, names: Collection[str]) -> None:
    """Take files out of a target's own folder, whatever else is named."""
    place = folder / layout.folder_of(target)
    for path in list(place.iterdir()) if place.is_dir() else ():
        if path.relative_to(folder).as_posix() in names:
            try:
                path.unlink()
            except OSError as error:
                raise StoreError(f"{path} could not be deleted: {error.strerror}.") from None


def _prepared(
    view: View, target: str, intermediate: str | None, seed: int | None
) -> tuple[Told, dict[str, str]]:
    """Where a target's predictions come from, and file -> content."""
    card = view.plan.cards[target]
    reason = layout.why_not(card)
    if reason:
        raise StoreError(f"{target} cannot be exported: {reason}.")
    if intermediate is None or seed is None:
        found = best(view, target, intermediate)
        intermediate, seed = found.intermediate, found.seed
    parts = view.chosen(target=target, intermediate=intermediate, seed=seed)
    _check_scored(view, parts)
    examples = view.examples(parts)
    _check_ranked(view, parts, examples)
    content = dict(_file(view, part, examples) for part in parts)
    scores = view.scores(parts, "all")
    limits = {
        split: limit
        for split in _splits(card, parts)
        if (limit := view.plan.limit(target, split)) is not None
    }
    told = Told(
        study=view.plan.study.name,
        intermediate=intermediate,
        seed=seed,
        checkpoint=str(scores["checkpoint"].iloc[0]),
        overlap=sorted({flag for part in parts for flag in part.overlap.split("; ") if flag}),
        limits=limits,
        keep_going=view.plan.study.keep_going,
        files=list(content),
    )
    return told, content


def _check_scored(view: View, parts: Sequence[Part]) -> None:
    commits = view.progress.commits.by_unit
    missing = [f"{part.split}/{part.language}" for part in parts if part.unit not in commits]
    if missing:
        raise StoreError(
            f"{parts[0].intermediate} is not yet scored on {parts[0].target} in "
            f"{', '.join(missing)}. Go on with `sweeper run` on the same study and store."
        )


def _check_ranked(view: View, parts: Sequence[Part], examples: pd.DataFrame) -> None:
    target = parts[0].target
    lacking = examples[examples["ranking"].isna()]
    if view.plan.cards[target].kind != "answer_retrieval" or lacking.empty:
        return
    units = set(zip(lacking["split"], lacking["language"], strict=True))
    commits = view.progress.commits.by_unit
    found = [
        commits[part.unit] for part in parts if part.unit and (part.split, part.language) in units
    ]
    markers = dict.fromkeys(f"commits/{one.address}.{one.generation}" for one in found)
    raise StoreError(
        f"The store must have the rankings of {target}; it has none of "
        f"{', '.join(sorted('/'.join(unit) for unit in units))}. If candidates of several "
        "languages share an id, give each its own in the data. Scores of an older sweeper have no "
        f"rankings either: delete {', '.join(markers)} in the store, and `sweeper run` makes them "
        "again."
    )


def _splits(card: Card, parts: Sequence[Part]) -> Iterable[str]:
    """The splits that are scored, and those that are needed for it."""
    kind = kinds.get(card.kind)
    for part in parts:
        yield part.split
        yield from (split for split, _ in kind.companions(card, part.split, part.language))


def _file(view: View, part: Part, examples: pd.DataFrame) -> tuple[str, str]:
    """A unit's file below the folder, and its content."""
    mine = examples[(examples["split"] == part.split) & (examples["language"] == part.language)]
    card = view.plan.cards[part.target]
    name = layout.file_of(card, part.split, part.language)
    said = "ranking" if card.kind == "answer_retrieval" else "predicted"
    return name, layout.written(card, mine["id"].tolist(), mine[said].tolist())


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror}.") from None
