"""The searches of a study as Optuna studies in a file, which Optuna's dashboard opens."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from sweeper.analysis.view import View
from sweeper.errors import StoreError, suggest
from sweeper.graph import Search
from sweeper.tasks import kinds
from sweeper.tuning.searches import distributions, objective

FORMATS = ("sqlite", "journal")


def export_searches(view: View, path: Path, format: str = "sqlite") -> int:
    """Write every search of a study as an Optuna study, from its asks and outcomes.

    Trials have their numbers, parameters, values after each epoch and true states: complete,
    pruned, failed (diverged, or given up after errors), running (asked for, not ended) or waiting.
    The file is new, whole, and replaces an earlier one. Nobody goes on with a sweep from it.

    Args:
        view: The study.
        path: The file: ``optuna-dashboard sqlite:///PATH``, or ``optuna-dashboard PATH`` of a
            journal.
        format: One of `FORMATS`.

    Returns:
        How many searches were written.

    Raises:
        StoreError: the study has no searches, there is no such format, or the file cannot be
            written.
    """
    if format not in FORMATS:
        raise StoreError(
            f"There is no such file of searches: {format!r}.{suggest(format, FORMATS)}"
        )
    if not view.plan.searches:
        raise StoreError(
            f"The study {view.plan.study.name!r} has no searches: none of its targets is trained."
        )
    trials = _Trials(view)
    with _storage(path, format) as storage:
        for search in view.plan.searches.values():
            _write(view, search, trials, storage)
    return len(view.plan.searches)


@contextmanager
def _storage(path: Path, format: str) -> Iterator[BaseStorage]:
    """A storage in a file that gets its name when the block ends well."""
    draft = path.absolute().with_name(f".draft-{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        if not draft.parent.is_dir():
            raise StoreError(f"{path} could not be written: there is no folder {draft.parent}.")
        if format == "journal":
            yield JournalStorage(JournalFileBackend(str(draft)))
        else:
            storage = RDBStorage(f"sqlite:///{draft}")
            event.listen(storage.engine, "connect", _hasten)
            storage.engine.dispose()  # the connection from before the listener
            yield storage
            storage.remove_session()
            storage.engine.dispose()
        os.replace(draft, path)  # noqa: PTH105
    except (OSError, SQLAlchemyError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n", 1)[0]
        raise StoreError(f"{path} could not be written: {reason}.") from None
    finally:
        for left in draft.parent.glob(f"{draft.name}*"):  # a database's journal, a lock
            left.unlink()


def _hasten(connection: Any, _: Any) -> None:
    """A draft need not outlive a power cut: a sync per statement takes most of the time."""
    connection.execute("PRAGMA synchronous = OFF")


def _write(view: View, search: Search, trials: _Trials, storage: BaseStorage) -> None:
    card = view.plan.cards[search.training_task]
    kind = kinds.get(card.kind)
    study = optuna.create_study(
        storage=storage,
        study_name=search.key,
        direction="maximize" if kind.higher_is_better else "minimize",
    )
    said = f"{kind.metric} on {', '.join(search.selections)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([f"mean {said}" if len(search.selections) > 1 else said])
    told = {
        "study": view.plan.study.name,
        "intermediate": search.intermediate,
        "training_task": search.training_task,
        "seed": search.seed,
        "sampler": search.space.sampler,
        "follows": search.follows or None,
        "stage": search.stage or None,
        "pruning": search.space.pruning and search.space.pruning.model_dump(),
    }
    for name, value in told.items():
        if value is not None:
            study.set_user_attr(name, value)
    study.add_trials([trials.of(search, number) for number in range(len(search.trials))])


class _Trials:
    """A study's trials as Optuna keeps them."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.addressing = view.progress.addressing
        found = view.trials()
        rows: list[Any] = found[found["kind"] == "tune"].to_dict("records")
        self.rows = {(row["address"], row["attempt"]): row for row in rows}
        self.newest = {(row["address"], row["status"]): row for row in rows}
        self.chosen: dict[str, list[str]] = {}
        for cell in view.plan.cells:
            key = self.addressing.checkpoint_job(cell.score)
            if key is not None:
                self.chosen.setdefault(key, []).append(cell.target)

    def of(self, search: Search, number: int) -> FrozenTrial:
        """A trial, in the state that the store knows."""
        key = search.trials[number]
        asked = self.view.progress.asks.get(self.addressing.search_address(search), {})
        units = self.addressing.units(key) if number in asked else None
        if units is None:
            return self._made(search, TrialState.WAITING, {"job": key})
        address, commit = self.addressing.address(key), self.addressing.commit(key)
        record, parameters = self.addressing.pruned(key), asked[number]
        told: dict[str, Any] = {"job": key, "address": address}
        if commit:
            value = objective(commit.outcome)
            state = TrialState.FAIL if value is None else TrialState.COMPLETE
            told |= self._outcome(key, commit.outcome)
            row = self.rows.get((commit.address, commit.attempt), {})
            values = commit.outcome.get("values", [])
        elif record:
            value, state, values = None, TrialState.PRUNED, record["values"]
            row = self.newest.get((address, "pruned"), {})
            told["message"] = record.get("why", "")
        else:
            failure = self.view.progress.failures.get(key)
            value, state, values = None, TrialState.FAIL if failure else TrialState.RUNNING, []
            row = self.newest.get((address, "failed"), {}) if failure else {}
            told |= {"message": failure} if failure else {}
        told |= {name: row[name] for name in ("attempt", "device", "worker") if row.get(name)}
        return self._made(search, state, told, parameters, value, values, row)

    def _outcome(self, key: str, outcome: dict[str, Any]) -> dict[str, Any]:
        """What is known of a finished trial besides its value."""
        told: dict[str, Any] = {"message": outcome["message"]} if outcome["message"] else {}
        for split, best in outcome["selections"].items():
            told |= {f"{split}: {name}": best[name] for name in ("value", "epoch", "loss")}
        if key in self.chosen:
            told["chosen for"] = self.chosen[key]
        return told

    def _made(
        self,
        search: Search,
        state: TrialState,
        told: dict[str, Any],
        parameters: dict[str, Any] | None = None,
        value: float | None = None,
        values: list[float] | None = None,
        row: dict[str, Any] | None = None,
    ) -> FrozenTrial:
        asked = parameters or {}
        space = {name: d for name, d in distributions(search).items() if name in asked}
        made = create_trial(
            state=state,
            value=value,
            params=asked,
            distributions=space,
            intermediate_values=dict(enumerate(values or [], 1)),
            user_attrs=told,
        )
        started, ended = (row or {}).get("started"), (row or {}).get("committed")
        if made.datetime_start and started:
            made.datetime_start = _time(started)
        if made.datetime_complete and ended:
            made.datetime_complete = _time(ended)
        return made


def _time(seconds: float) -> datetime:
    """As Optuna keeps times: those of this host's clock, without a zone."""
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006
