"""What a score shares with the training or the selection behind it.

What tasks share is known from their cards (`sweeper.tasks.overlaps`), and not here by name.
Levels, from the gravest: *same examples* (a row trains or selects on what a column tests) stop a
plan; *same documents* and *same data as the training task* are flagged in every score.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweeper.errors import StudyError
from sweeper.graph import Job, Plan
from sweeper.study import CONTROL
from sweeper.tasks.overlaps import Part

EXAMPLES, DOCUMENTS, DATA = "same_examples", "same_documents", "same_data"

SAME_DATA = "same data as the training task"


# ---- before a plan ----------------------------------------------------------------------------


def check(plan: Plan) -> None:
    """Refuse a plan in which a row trains, or a winner is chosen, on examples that are tested.

    The very split that a target selects on is no exception, in the selection's language or, of
    translations, in any. Under `oracle` selections are flagged, not refused.

    Raises:
        StudyError: names the study's line, both tasks, and what to do.
    """
    for column in plan.columns:
        for tested in _tested(plan, column):
            _check_base(plan, column, tested)
            for row in plan.rows:
                _check_row(plan, row, column, tested)
                _check_tuning(plan, row, column, tested)
            _check_training(plan, column, tested)
            _check_selection(plan, column, tested)


def _check_base(plan: Plan, column: str, tested: Part) -> None:
    for trained in _base(plan):
        if _level(plan, trained, tested) == EXAMPLES:
            raise StudyError(
                f"{plan.study.where('base', 'scratch', 'text')}: the base model would be trained "
                f"on the examples that the target {column} is tested on: {trained} and {tested} "
                f"have the same ones{_note(plan, trained, tested)}. Take another text, or take "
                f"{column} out of `targets`."
            )


def _check_row(plan: Plan, row: str, column: str, tested: Part) -> None:
    for trained in _trained(plan, row):
        if _level(plan, trained, tested) == EXAMPLES:
            raise StudyError(
                f"{plan.study.where('intermediates', row)}: the row {row} would train on the "
                f"examples that the target {column} is tested on: {trained} and {tested} have "
                f"the same ones{_note(plan, trained, tested)}. Take {trained.task} out of the "
                f"row, or {column} out of `targets`."
            )


def _check_tuning(plan: Plan, row: str, column: str, tested: Part) -> None:
    for chosen in _tuned(plan, row):
        if _level(plan, chosen, tested) == EXAMPLES and not plan.study.oracle:
            raise StudyError(
                f"{plan.study.where('intermediates', row)}: the settings of the row {row} would "
                f"be chosen on the examples that the target {column} is tested on: {chosen} and "
                f"{tested} have the same ones{_note(plan, chosen, tested)}. "
                f"{_other_selection(plan, chosen, tested)}"
            )


def _check_training(plan: Plan, column: str, tested: Part) -> None:
    for trained in _training(plan, column):
        if _level(plan, trained, tested) == EXAMPLES:
            raise StudyError(
                f"{plan.study.where('targets', column)}: the target {column} would be trained on "
                f"the examples that it is tested on: {trained} and {tested} have the same ones"
                f"{_note(plan, trained, tested)}. Name another `training_task`, or other `splits`."
            )


def _check_selection(plan: Plan, column: str, tested: Part) -> None:
    chosen = _selected(plan, column)
    if chosen is None or plan.study.oracle:
        return
    if _level(plan, chosen, tested) != EXAMPLES:
        return
    raise StudyError(
        f"{plan.study.where('targets', column, 'selection')}: the winners of {column} would be "
        f"chosen on the examples that it is tested on: {chosen} and {tested} have the same ones"
        f"{_note(plan, chosen, tested)}. {_other_selection(plan, chosen, tested)} Or say `oracle: "
        "true` in the study: such scores then say so."
    )


def _other_selection(plan: Plan, chosen: Part, tested: Part) -> str:
    """What to select on instead: another split of the same task that shares no example."""
    card = plan.cards[chosen.task]
    for split, there in card.splits.items():
        other = Part(chosen.task, split, chosen.languages)
        held_out = split not in ("train", "test") and chosen.languages <= set(there.languages)
        if held_out and _level(plan, other, tested) != EXAMPLES:
            (code,) = chosen.languages
            return (
                f"Select on a part without them: `selection: {{task: {chosen.task}, split: "
                f"{split}, language: {code}}}`."
            )
    return "Name another `selection`, or test other splits or languages."


def _note(plan: Plan, one: Part, other: Part) -> str:
    found = plan.overlaps.shared(one, other)
    return f" ({found.note})" if found and found.note else ""


def _level(plan: Plan, one: Part, other: Part) -> str | None:
    found = plan.overlaps.shared(one, other)
    return found.level if found else None


# ---- the parts of a plan ----------------------------------------------------------------------


def _train(plan: Plan, task: str) -> Part:
    return Part(task, "train", frozenset(plan.training_languages(task)))


def _base(plan: Plan) -> tuple[Part, ...]:
    scratch = plan.study.base.scratch
    return (_train(plan, scratch.text),) if scratch else ()


def _trained(plan: Plan, row: str) -> list[Part]:
    """What a row trains on before the target."""
    if row == CONTROL:
        return []
    stages = plan.study.intermediates[row].stages
    tasks = dict.fromkeys(task for stage in stages for task in stage.tasks)
    return [_train(plan, task) for task in tasks]


def _tuned(plan: Plan, row: str) -> list[Part]:
    """What the settings of a row's stages are chosen on."""
    if row == CONTROL:
        return []
    stages = (stage for stage in plan.study.intermediates[row].stages if stage.space)
    found = [plan.stage_selection(stage) for stage in stages]
    return [Part(at.task or "", at.split, frozenset([at.language])) for at in found]


def _training(plan: Plan, column: str) -> list[Part]:
    task = plan.targets[column].training_task
    return [_train(plan, task)] if task else []


def _selected(plan: Plan, column: str) -> Part | None:
    at = plan.targets[column].selection
    if at is None:
        return None
    assert at.task
    return Part(at.task, at.split, frozenset([at.language]))


def _tested(plan: Plan, column: str) -> list[Part]:
    """The splits that a column tests."""
    target, card = plan.targets[column], plan.cards[column]
    return [
        Part(column, split, frozenset(target.languages or card.splits[split].languages))
        for split in target.splits
    ]


# ---- flags ------------------------------------------------------------------------------------


def overlap(plan: Plan, job: Job, unit: str) -> str:
    """What a unit of a score job shares, in words with "; " between; empty if nothing.

    Same data as the training task: the row trains on the target's training task or on data that
    contains or continues it, so the row is extra epochs and no transfer. Same documents as what
    the row trains on, or the winner was selected on. Selected on: the winner was picked on this
    very split. Oracle: the study allows a selection that sees test data or target languages.
    """
    split, code = job.declared["units"][unit]
    tested = Part(job.target, split, frozenset([code]))
    return "; ".join(dict.fromkeys(_flags(plan, job, tested)))


def _flags(plan: Plan, job: Job, tested: Part) -> Iterator[str]:
    trained = _trained(plan, job.intermediate)
    training = _training(plan, job.target)
    for part in trained:
        for own in training:
            if part.task == own.task or _level(plan, part, own) in (EXAMPLES, DATA):
                yield SAME_DATA
    for part in [*_base(plan), *trained, *training]:
        level = _level(plan, part, tested)
        if level == DOCUMENTS:
            yield f"same documents: trained on {part}"
        elif level == DATA:
            yield f"same data: trained on {part}"
    for part in _tuned(plan, job.intermediate):
        level = _level(plan, part, tested)
        if level is not None:
            kind = "examples" if level == EXAMPLES else "documents"
            yield f"same {kind}: a stage was tuned on {part}"
    yield from _selection_flags(plan, job, tested)


def _selection_flags(plan: Plan, job: Job, tested: Part) -> Iterator[str]:
    at = plan.targets[job.target].selection
    chosen = _selected(plan, job.target)
    if at is None or chosen is None:
        return
    level = _level(plan, chosen, tested)
    same_split = (chosen.task, chosen.split) == (tested.task, tested.split)
    if same_split and chosen.languages & tested.languages:
        yield "selected on"
    elif level == EXAMPLES:
        yield f"same examples: selected on {chosen}"
    elif level is not None:
        yield f"same documents: selected on {chosen}"
    if at.split == "test" or at.language not in plan.trained_languages(job.target):
        yield f"oracle: selected on {plan.selection_of(job.target)}"
