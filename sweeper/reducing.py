"""A study without some of its tasks: those whose data cannot be had, such as CCGbank's.

Nothing goes silently: the study's name and description, and so its snapshots, matrices and
exports, say what is not in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sweeper.checks import Checks
from sweeper.errors import StudyError, suggest
from sweeper.knowncards import known_cards
from sweeper.study import Intermediate, Study, Target
from sweeper.tasks.card import Card
from sweeper.yamlfile import LONGEST_NAME


def without(
    study: Study, tasks: Iterable[str], *, cards: Mapping[str, Card] | None = None
) -> Study:
    """A study without some tasks, called ``<name>-without-<task>-<task>``.

    Their columns go, and the rows that in some stage train on nothing else. The stages of the
    other rows mix what is left, and those rows keep their names: the description counts it.

    Args:
        study: Any study; it stays as it is.
        tasks: Names of tasks that it uses; none of them: the study itself.
        cards: Task cards by name; default: the shipped ones and those in `tasks_path`.

    Raises:
        StudyError: the study does not use a task; it cannot do without one, since a column that
            stays is trained or selected on it, or the base model is made from it; no column
            would stay.
    """
    out = sorted(set(tasks))
    if not out:
        return study
    targets = Checks(study, known_cards(study) if cards is None else cards).targets()
    _check_used(study, targets, out)
    _check_not_needed(study, targets, out)
    rows = {name: _reduced(row, out) for name, row in study.intermediates.items()}
    columns = {name: given for name, given in study.targets.items() if name not in out}
    if not columns:
        raise StudyError(
            f"A study has at least one target; {study.name} without {', '.join(out)} would have "
            "none. Leave fewer tasks out."
        )
    changes: dict[str, Any] = {
        "name": _name(study, out),
        "description": f"{study.description} {_told(study, rows, out)}".strip(),
        "intermediates": {name: row for name, row in rows.items() if row is not None},
        "targets": columns,
    }
    # What the study says of tasks that it no longer has would be read by nobody.
    idle = {target.training_task for target in targets.values()}
    idle -= {targets[name].training_task for name in columns} | study.extended_spaces
    for part, gone in (("spaces", idle), ("task_limits", set(out)), ("train_languages", set(out))):
        said = getattr(study, part)
        if gone & set(said):
            changes[part] = {name: value for name, value in said.items() if name not in gone}
    return study.model_copy(update=changes)


def _check_used(study: Study, targets: Mapping[str, Target], out: Iterable[str]) -> None:
    used = {task for row in study.intermediates.values() for task in _tasks(row)} | set(targets)
    used |= {task for target in targets.values() for task in _needs(target)}
    scratch = study.base.scratch
    for task in out:
        if scratch and task == scratch.text:
            raise StudyError(
                f"{study.where('base', 'scratch', 'text')}: the base model is made from {task}, "
                f"so {study.name} cannot do without it. Name another text."
            )
        if task not in used:
            raise StudyError(
                f"Only a task that a study uses can be left out; {study.name} does not use "
                f"{task!r}.{suggest(task, used)}"
            )


def _check_not_needed(study: Study, targets: Mapping[str, Target], out: Collection[str]) -> None:
    """Columns do not go because others do: the person says so, and the study's name."""
    gone, found = set(out), list[str]()
    while more := [name for name in targets if name not in gone and _needs(targets[name]) & gone]:
        gone.update(more)
        found += more
    if found:
        options = " ".join(f"--without {name}" for name in sorted(gone))
        them = "it" if len(found) == 1 else "them"
        raise StudyError(
            f"{study.where('targets', found[0])}: without {', '.join(out)} there is nothing to "
            f"train or select {' and '.join(found)} on. Leave {them} out too "
            f"(`{options}`), or name another `training_task` or `selection`."
        )


def _needs(target: Target) -> set[str]:
    """The tasks that a target is trained and selected on."""
    chosen = target.selection.task if target.selection else None
    return {task for task in (target.training_task, chosen) if task}


def _tasks(row: Intermediate) -> Iterator[str]:
    return (task for stage in row.stages for task in stage.tasks)


def _reduced(row: Intermediate, out: Collection[str]) -> Intermediate | None:
    """A row that trains on what is left; None if a stage of it would train on nothing."""
    left = [tuple(task for task in stage.tasks if task not in out) for stage in row.stages]
    if not all(left):
        return None
    if left == [stage.tasks for stage in row.stages]:
        return row
    stages = zip(row.stages, left, strict=True)
    return Intermediate(stages=tuple(s.model_copy(update={"tasks": tasks}) for s, tasks in stages))


def _name(study: Study, out: Iterable[str]) -> str:
    name = f"{study.name}-without-{'-'.join(out)}"
    if len(name) > LONGEST_NAME:
        raise StudyError(
            f"A study's name has at most {LONGEST_NAME} characters, and {name} has {len(name)}. "
            "Write a study file that does not name these tasks."
        )
    return name


def _told(study: Study, rows: Mapping[str, Intermediate | None], out: Collection[str]) -> str:
    """What was left out, in a sentence."""
    said = [f"no row {name}" for name, row in rows.items() if row is None]
    said += [f"no column {name}" for name in study.targets if name in out]
    for name, row in rows.items():
        before = study.intermediates[name]
        if row is not None and row is not before:
            left, all_ = len(set(_tasks(row))), len(set(_tasks(before)))
            said.append(f"{name} trains on {left} of its {all_} tasks")
    return f"Without {', '.join(out)}: {', '.join(said)}."
