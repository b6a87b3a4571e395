"""Small stores made by hand: every job of a study committed with made-up, known outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from helpers import put

from sweeper.graph import Job, Plan, Search
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.resolving import resolve
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.store.markers import commit
from sweeper.study import Study
from sweeper.tasks import kinds

Score = Callable[[str, str, int, str], float]
"""Row, target, seed, language -> value in percent."""
Dev = Callable[[str, int, int], tuple[float, float, int]]
"""Row, seed, trial -> dev value, dev loss, epoch."""
Right = Callable[[str, str, int, str], Sequence[bool]]
"""Row, target, seed, language -> which examples are right; their share is the score."""
Beside = Callable[[str, str, int], float]
"""Weights (last, averaged), row, seed -> how many points more they score than the selected."""

TINY: dict[str, Any] = {
    "name": "tiny",
    "base": {
        "scratch": {
            "text": "demo_text",
            "vocabulary": 200,
            "layers": 1,
            "hidden": 8,
            "heads": 1,
            "feed_forward": 8,
        }
    },
    "intermediates": {"supersense": None, "more": {"tasks": ["tagging"]}},
    "targets": {
        "tagging": {"languages": ["qaa", "qab", "qac"]},
        "demo_retrieval": {"languages": ["qab"]},
    },
    "seeds": [0, 1, 2],
    "spaces": {"tagging": {"search": {"learning_rate": [1e-3, 3e-3]}}},
}


def study(**changes: Any) -> Study:
    """The tiny study with some keys changed."""
    return Study.model_validate({**TINY, **changes})


def known_score(row: str, target: str, seed: int, language: str) -> float:
    """Scores with round means: none has 45, 46, 47 on tagging, supersense 10, 12, 14 more."""
    if target == "demo_retrieval":
        return {"none": 20.0, "supersense": 26.0, "more": 19.0}[row] + (
            seed if row != "none" else 0
        )
    base = {"qaa": 90.0, "qab": 50.0, "qac": 40.0, "qad": 30.0, "qae": 20.0}[language] + seed
    return base + {"none": 0, "supersense": 10 + 2 * seed, "more": -1}[row]


def known_dev(row: str, seed: int, trial: int) -> tuple[float, float, int]:
    """Dev scores: supersense first, its seed 1 best, and trial 1 always before trial 0."""
    value = {"none": 70.0, "supersense": 80.0, "more": 75.0}[row]
    return value + (2.0 if seed == 1 else 0.0) + trial, 0.5, 3


class World:
    """A store that is filled job by job, as the engine would, without training anything."""

    def __init__(self, root: Path | str, of: Study | None = None) -> None:
        self.files = StoreFiles(root, create=True)
        self.study = of or study()
        self.plan: Plan = plan(self.study)
        self.progress = Progress(
            self.plan, resolve(self.plan, self.files), self.files, failures=False
        )
        self.time = 1000.0
        self.ran: list[str] = []
        self.right: Right | None = None
        self.called = "attempt"  # how attempts begin
        self.beside: Beside = lambda weights, row, seed: 0.0

    def run(
        self,
        score: Score = known_score,
        dev: Dev = known_dev,
        *,
        leave: Callable[[str], bool] = lambda key: False,
        fail: Container[str] = (),
        right: Right | None = None,
    ) -> World:
        """Do every job but those left, failing some."""
        self.right = right
        with mock.patch("os.fsync"):  # half of the time, and nobody pulls the plug of a test
            self._run(score, dev, leave, fail)
        return self

    def _run(
        self, score: Score, dev: Dev, leave: Callable[[str], bool], fail: Container[str]
    ) -> None:
        while (key := self.progress.take()) is not None:
            if leave(key):
                continue
            job = self.plan.jobs[key]
            if job.kind == "tune":
                search = self.plan.searches[job.declared["search"]]
                assert job.trial is not None
                self.progress.asked(search, job.trial, self.drawn(search, job.trial))
            if not self.progress.claim(key):
                continue
            if key in fail:
                self._fail(job)
            else:
                self._do(job, score, dev)

    def drawn(self, search: Search, trial: int) -> dict[str, Any]:
        """The parameters that a trial is asked for with."""
        return dict(search.space.grid[trial])

    def _do(self, job: Job, score: Score, dev: Dev) -> None:
        units = self.progress.missing(job.key)
        address = self.progress.attempt_address(job.key)
        generation = self.progress.generation(address)
        attempt = f"{self.called}{len(self.ran)}"
        self.ran.append(job.key)
        name = f"{address}-{attempt}"
        outcome = self._outcome(job, dev)
        row = self._trial(job, address, attempt) | self._training(job, outcome["selections"])
        made = [tables.write(self.files, "trials", name, [row])]
        if job.kind == "score":
            rows = [row for unit in units for row in self._scores(job, unit, units[unit], score)]
            shared = {"address": address, "attempt": attempt, "job": job.key, "study": "?"}
            made.append(
                tables.write(self.files, "scores", name, [{**shared, **row} for row in rows])
            )
            examples = self._examples(job, rows)
            made.append(
                tables.write(self.files, "examples", name, [{**shared, **row} for row in examples])
            )
        put(self.files, f"logs/{job.key}/{attempt}.log", f"the log of {job.key}\n")
        self._make(job, self.files.attempt_folder(address, attempt))
        made += self.files.publish(f"attempts/{address}/{attempt}")
        commit(
            self.files,
            address=address,
            generation=generation,
            attempt=attempt,
            job=job.key,
            kind=job.kind,
            units=units,
            made=made,
            outcome=outcome,
        )
        self.progress.committed(job.key, address, generation)

    def _make(self, job: Job, folder: Path) -> None:
        """What an attempt leaves in its folder: nothing, here."""

    def _outcome(self, job: Job, dev: Dev) -> dict[str, Any]:
        outcome: dict[str, Any] = {"status": "done", "message": "", "selections": {}}
        if job.kind == "tune":
            assert job.seed is not None and job.trial is not None
            value, loss, epoch = dev(job.intermediate, job.seed, job.trial)
            outcome["selections"] = {
                selection: {
                    "epoch": epoch,
                    "metric": "f1",
                    "value": value,
                    "loss": loss,
                    "checkpoint": f"epoch={epoch}",
                }
                for selection in job.declared["selections"]
            }
            kept = {name: self._kept(name, value, epoch, job) for name in job.declared["keep"]}
            outcome |= {"kept": kept} if kept else {}
        return outcome

    def _kept(self, name: str, value: float, epoch: int, job: Job) -> dict[str, Any]:
        """The last epoch is one later and a point worse on dev, the average two points better."""
        last = name == "last"
        found = {"metric": "f1", "value": value + (-1.0 if last else 2.0), "loss": 0.5}
        which = {"epoch": epoch + 1} if last else {"epochs": epoch + 1}
        folder = f"epoch={epoch + 1}" if last else "averaged"
        selections = dict.fromkeys(job.declared["selections"], found)
        return {**which, "checkpoint": folder, "selections": selections}

    def _scores(self, job: Job, name: str, unit: str, score: Score) -> list[dict[str, Any]]:
        """Rows with the names of the job that made them, which a reader must not rely on."""
        split, language = job.declared["units"][name]
        assert job.seed is not None
        place = (job.intermediate, job.target, job.seed, language)
        right = self.right(*place) if self.right else None
        value = score(*place) if right is None else 100.0 * sum(right) / len(right)
        weights = job.declared["checkpoint"].get("weights")
        value += self.beside(weights, job.intermediate, job.seed) if weights else 0.0
        main = kinds.get(self.plan.cards[job.target].kind).metric
        named = {
            "intermediate": job.intermediate,
            "target": job.target,
            "seed": job.seed,
            "unit": unit,
            "split": split,
            "language": language,
            "n": 100 if right is None else len(right),
            "zero_shot": False,
            "overlap": "wrong",
        }
        return [
            {**named, "metric": main, "value": value, "main": True},
            {**named, "metric": "other", "value": value / 2, "main": False},
        ]

    def _examples(self, job: Job, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [example for row in rows if row["main"] for example in self._of(row)]

    def _of(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kept = ("intermediate", "target", "seed", "unit", "split", "language")
        named = {name: row[name] for name in kept}
        if self.right is None:
            yield {**named, "id": "0", "gold": "a", "predicted": "b"}
            return
        right = self.right(row["intermediate"], row["target"], row["seed"], row["language"])
        for number, correct in enumerate(right):
            gold = "ab"[number % 2]
            yield {**named, "id": str(number), "gold": gold, "correct": correct,
                   "predicted": gold if correct else "c"}  # fmt: skip

    def _trial(self, job: Job, address: str, attempt: str, status: str = "done") -> dict[str, Any]:
        """A job of one second on the only worker, each a tenth of a second after the last."""
        self.time += 1.1
        return {
            "job": job.key,
            "address": address,
            "attempt": attempt,
            "study": self.study.name,
            "intermediate": job.intermediate,
            "target": job.target,
            "seed": job.seed,
            "kind": job.kind,
            "trial": job.trial,
            "status": status,
            "parameters": json.dumps({}),
            "made_from": json.dumps(self.progress.addressing.made_from(job.key)),
            "released": 1000.0,
            "started": self.time,
            "first_batch": self.time + 0.2,
            "committed": self.time + 1.0,
            **{f"seconds_{phase}": 0.0 for phase in ("setup", "data", "evaluate", "save")},
            "seconds_compute": 0.7,
            "seconds_score": 0.2,
            "worker": "host:1",
        }

    def _training(self, job: Job, selections: dict[str, Any]) -> dict[str, Any]:
        """What a trial was trained with; after its best epoch comes one a point worse."""
        if job.kind != "tune" or not selections:
            return {}
        last = {n: {**one, "value": one["value"] - 1.0} for n, one in selections.items()}
        best = next(iter(selections.values()))["epoch"]
        curve = [
            {"epoch": best, "selections": selections},
            {"epoch": best + 1, "selections": last},
        ]
        asked = self.progress.addressing.parameters(job) or {}
        return {
            "parameters": json.dumps({"learning_rate": 1e-4} | asked),
            "selections": json.dumps(selections),
            "curve": json.dumps(curve),
        }

    def _fail(self, job: Job) -> None:
        address, attempt = self.progress.attempt_address(job.key), "broken"
        row = self._trial(job, address, attempt, "failed")
        give_up = {"job": job.key, "message": "a row has no label", "failed": self.time}
        self.files.create(f"failed/{address}/{attempt}.json", give_up)
        data = {
            "job": job.key,
            "error": "data",
            "message": "a row has no label",
            "table": tables.write(self.files, "trials", f"{address}-{attempt}", [row]).name,
            "failed": self.time,
        }
        self.files.create(f"failures/{address}/{attempt}.json", data)
        self.progress.fail(job.key, "a row has no label")
