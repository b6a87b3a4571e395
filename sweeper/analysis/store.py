"""`Store`: what a user asks of a store, in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.analysis import insights
from sweeper.analysis.aggregates import Aggregate, aggregate
from sweeper.analysis.averaging import transfer
from sweeper.analysis.best import Best
from sweeper.analysis.best import best as best_of
from sweeper.analysis.checkpoints import checkpoints, gains
from sweeper.analysis.kept import Answers
from sweeper.analysis.matrix import TransferMatrix
from sweeper.analysis.view import View, Wanted
from sweeper.errors import StoreError
from sweeper.graph import SELECTED, Plan
from sweeper.progress import Progress
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from sweeper.analysis.overtasks import OverTasks


class Store:
    """A store's answers. Each call reads what is committed by then, so a sweep may be running.

    Every query takes ``study``: the name of one of the store's studies; by default the only one.
    Filters take one name or several; an unknown name raises `StoreError`.

    Args:
        address: The store's folder, or its address in a bucket: ``s3://bucket/path``.

    Raises:
        StoreError: there is no store, or it has another schema.
    """

    def __init__(self, address: str | Path) -> None:
        self.files = StoreFiles(address)

    def __repr__(self) -> str:
        return f"Store({self.files.address!r})"

    def studies(self) -> list[str]:
        """The names of the studies that were run into this store."""
        return self.files.names("studies")

    def view(self, study: str | None = None) -> View:
        """A study as it is now; several questions to one view see the same moment."""
        return View(self.files, study)

    def answers(self, study: str | None = None) -> Answers:
        """The usual answers: those kept by `sweeper store compact` where they still hold."""
        return Answers(self.files, study)

    def progress(self, study: str | None = None) -> tuple[Plan, Progress]:
        """A study's plan, and the state of its jobs."""
        view = self.view(study)
        return view.plan, view.progress

    def scores(
        self,
        target: Wanted = None,
        intermediate: Wanted = None,
        language: Wanted = None,
        seed: int | Sequence[int] | None = None,
        split: Wanted = None,
        metric: str | None = None,
        study: str | None = None,
        weights: Wanted = SELECTED,
    ) -> pd.DataFrame:
        """Scores, one row per row of the matrix, target, seed, split and language.

        ``metric`` is a name or "all"; by default each target's main one. Values are percent,
        losses nats; ``zero_shot`` and ``overlap`` say what a score may claim. ``weights`` are
        "selected", as in the matrix, or what the study keeps beside these: "last", "averaged",
        or None for all.
        """
        view = self.view(study)
        parts = view.chosen(
            target=target, intermediate=intermediate, language=language, seed=seed, split=split,
            weights=weights,
        )  # fmt: skip
        return view.scores(parts, metric)

    def examples(
        self,
        target: Wanted = None,
        intermediate: Wanted = None,
        language: Wanted = None,
        seed: int | Sequence[int] | None = None,
        split: Wanted = None,
        study: str | None = None,
        weights: Wanted = SELECTED,
    ) -> pd.DataFrame:
        """Scored examples with gold and predicted text, one row each; ``weights`` as in scores."""
        view = self.view(study)
        parts = view.chosen(
            target=target, intermediate=intermediate, language=language, seed=seed, split=split,
            weights=weights,
        )  # fmt: skip
        return view.examples(parts)

    def trials(
        self,
        kind: Wanted = None,
        status: Wanted = None,
        intermediate: Wanted = None,
        target: Wanted = None,
        seed: int | Sequence[int] | None = None,
        study: str | None = None,
    ) -> pd.DataFrame:
        """Recorded attempts at the study's jobs, failed ones too, in order of their start.

        ``target`` is the training task of a trial (kind ``tune``) and the target of a score.
        """
        found = self.view(study).trials()
        wanted = {
            "kind": kind,
            "status": status,
            "intermediate": intermediate,
            "target": target,
            "seed": seed,
        }
        for column, values in wanted.items():
            if values is not None:
                several = [values] if isinstance(values, str | int) else list(values)
                found = found[found[column].isin(several)]
        return found.reset_index(drop=True)

    def best(
        self,
        target: str,
        intermediate: str | None = None,
        language: str | None = None,
        study: str | None = None,
    ) -> Best:
        """The checkpoint to use for a target and why; see `sweeper.analysis.best.best`."""
        if intermediate is None and language is None:
            return self.answers(study).best(target)
        return best_of(self.view(study), target, intermediate, language)

    def transfer(
        self,
        value: str = "score",
        by: str = "task",
        study: str | None = None,
        target_languages: Mapping[str, Sequence[str]] | None = None,
        draws: int | None = None,
    ) -> TransferMatrix:
        """The transfer matrix with intervals, tests, states and flags; see `TransferMatrix`.

        ``by`` is task, language, family, script or category; ``draws`` bootstrap samples are
        behind each interval: by default 2,000 for gains, and none for scores.
        """
        if target_languages is None and draws is None:
            return self.answers(study).matrix(value, by)
        return transfer(self.view(study), value, by, target_languages, draws)

    def matrix(
        self,
        value: str = "score",
        by: str = "task",
        study: str | None = None,
        target_languages: Mapping[str, Sequence[str]] | None = None,
    ) -> pd.DataFrame:
        """The transfer matrix's values: intermediates by targets (or targets and languages)."""
        if target_languages is None:
            return self.answers(study).values(value, by)
        return self.transfer(value, by, study, target_languages, draws=0).values

    def over_tasks(self, study: str | None = None) -> OverTasks:
        """Mean and interquartile mean of each row's gains, and how often it beats the control.

        Over all targets that every row has; see `sweeper.analysis.overtasks`.
        """
        from sweeper.analysis.overtasks import over_tasks

        return over_tasks(self.view(study))

    def rates(self, study: str | None = None) -> pd.DataFrame:
        """How each learning rate did per training task; see `sweeper.analysis.insights.rates`."""
        return insights.rates(self.view(study))

    def costs(self, study: str | None = None) -> pd.DataFrame:
        """Device hours per row, and per point gained; see `sweeper.analysis.insights.costs`."""
        return insights.costs(self.view(study))

    def dev_and_test(self, study: str | None = None) -> pd.DataFrame:
        """How dev and test scores correlate; see `sweeper.analysis.insights.dev_and_test`."""
        return insights.dev_and_test(self.view(study))

    def checkpoints(self, study: str | None = None) -> pd.DataFrame:
        """Selected, last and averaged; see `sweeper.analysis.checkpoints.checkpoints`."""
        return checkpoints(self.view(study))

    def checkpoint_gains(self, study: str | None = None) -> pd.DataFrame:
        """What last and averaged ones gain; see `sweeper.analysis.checkpoints.gains`."""
        return gains(checkpoints(self.view(study)))

    def published(self, study: str | None = None) -> pd.DataFrame:
        """Published scores beside measured ones; see `sweeper.analysis.insights.published`."""
        return insights.published(self.view(study))

    def sql(self, query: str, study: str | None = None) -> pd.DataFrame:
        """The answer to a query in DuckDB's SQL.

        Views: ``scores``, ``examples`` and ``trials`` with the columns that these queries have,
        ``gain`` (each score less that of the control of the same seed, split and language),
        ``best`` (the winner of each target) and ``languages`` (script, family of each code). They
        are of all studies of the store, unless one is named.

        Raises:
            StoreError: DuckDB does not take the query.
        """
        found: pd.DataFrame = self.sql_arrow(query, study).to_pandas()
        return found

    def sql_arrow(self, query: str, study: str | None = None) -> pa.Table:
        """The same as an Arrow table: for what is too large for pandas."""
        from sweeper.analysis.sql import query as answer

        commits = Commits(self.files, tolerant=True)
        names = self.studies() if study is None else [study]
        return answer(self.files, [View(self.files, name, commits) for name in names], query)

    def aggregate(self, benchmark: str = "xtreme", study: str | None = None) -> Aggregate:
        """The averages of XTREME ("xtreme") or XTREME-R ("xtreme-r") of every row, over seeds.

        Over all languages of each task's test set, as the official script has it, and not over
        the zero-shot ones as in `matrix`; see `sweeper.analysis.aggregates.Aggregate`.
        """
        return aggregate(self.view(study), benchmark)


def store_address(given: str | None, study: str | None = None) -> str:
    """The address of the store that is named; else that of a study, or the only one in ``runs``.

    Raises:
        StoreError: None is named, and there is none in ``runs``, or several.
    """
    if given is not None:
        return given
    if study is not None and Path("runs", study, "store.json").is_file():
        return f"runs/{study}"
    found = sorted(path.parent for path in Path("runs").glob("*/store.json"))
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise StoreError(
            f"There is no store below {Path('runs').absolute()}. Name one by `--store`, or make "
            "one: `sweeper run demo`."
        )
    raise StoreError(
        f"There are several stores; name one by `--store`: {', '.join(map(str, found))}."
    )
