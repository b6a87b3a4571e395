"""Addresses: the hash of what a job is made from, and the inputs that its worker is given.

An address is the digest of canonical JSON of resolved inputs, declared settings, seed, the
parents' addresses and three versions (data encoding, training, metrics). Paths, library versions
and hardware are not hashed. A job has one or more units, an address each: a training has one, a
prepare job one per language, a score job one per split and language; what the store has of them
is not done again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeper.graph import SELECTED, Job, Plan, Search
from sweeper.prepared import ONLY as ONLY
from sweeper.prepared import Prepared
from sweeper.prepared import Resolved as Resolved
from sweeper.store.commits import Commits
from sweeper.store.files import digest, digests
from sweeper.store.markers import Commit
from sweeper.tasks import kinds
from sweeper.tasks.metrics import METRIC_VERSION
from sweeper.trainings import Trainings, settings


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to score: the job that makes it (None: the base model), in which folder.

    Of a trial, ``epochs`` says which one it is of (``epoch``), or how many are averaged
    (``epochs``), and ``weights`` what it counts as: a last epoch that dev selected is selected.
    """

    job: str | None
    folder: str
    identity: Any
    epochs: dict[str, int] = field(default_factory=dict)
    weights: str = SELECTED


class Addressing:
    """Computes units and inputs of a plan's jobs from what is resolved, asked and committed."""

    def __init__(
        self,
        plan: Plan,
        resolved: Resolved,
        commits: Commits,
        asks: Mapping[str, Mapping[int, dict[str, Any]]],
        pruned: Mapping[str, Any],
    ) -> None:
        self.plan = plan
        self.resolved = resolved
        self.prepared = Prepared(plan, resolved)
        self.trainings = Trainings(plan, self.prepared, self.address)
        self.commits = commits
        self.asks = asks
        self._pruned = pruned
        self._units: dict[str, dict[str, str]] = {}
        self._searches: dict[str, str] = {}

    def units(self, key: str) -> dict[str, str] | None:
        """Unit name -> address; None while a selection or a search has yet to decide."""
        if key not in self._units:
            found = self.made_from(key)
            if found is None:
                return None
            self._units[key] = self._digests(found)
        return self._units[key]

    def _digests(self, found: dict[str, dict[str, Any]]) -> dict[str, str]:
        # Of a score job, that is of most units by far, the languages differ in their data alone.
        alike = len(found) > 1 and all("checkpoint" in one for one in found.values())
        if alike and not any("companions" in one for one in found.values()):
            return digests(found, "data")
        return {name: digest(said) for name, said in found.items()}

    def made_from(self, key: str) -> dict[str, dict[str, Any]] | None:
        """Unit name -> what its address is the digest of; None while that is undecided."""
        job = self.plan.jobs[key]
        found: dict[str, dict[str, Any]] | None = getattr(self, f"_{job.kind}_units")(job)
        return found

    def forget(self, key: str) -> None:
        """Work a job's units out anew: an outcome that they rest on was replaced."""
        self._units.pop(key, None)

    def address(self, key: str) -> str:
        """The address of a job with one unit that is known by now."""
        units = self.units(key)
        assert units is not None, key
        return units[ONLY]

    def shared_address(self, key: str) -> str:
        """One address for all jobs, of any study, that may have units in common with a job.

        A job with one unit has that unit's. For a prepare job it stands for the split at this
        length, for a score job for the checkpoint on the target, whatever their languages.
        """
        job, units = self.plan.jobs[key], self.units(key)
        assert units is not None, key
        if list(units) == [ONLY]:
            return units[ONLY]
        said = {name: job.declared.get(name) for name in ("task", "split", "length")}
        if job.kind == "prepare":
            return digest({"prepare": said, "tokenizer": self.prepared.tokenizer})
        checkpoint = self.checkpoint(job)
        assert checkpoint is not None, key
        return digest({"score": job.target, "checkpoint": checkpoint.identity})

    def search_address(self, search: Search) -> str:
        """Where the asks of a search lie: the digest of everything but a trial's parameters."""
        if search.key not in self._searches:
            job = self.plan.jobs[search.trials[0]]
            space = search.space.model_dump(include={"search", "sampler"})
            identity = self.trainings.trial(job, {})
            if search.space.warm_start:  # other points than those of a search that starts cold
                space["warm_start"] = search.space.warm_start
            said: dict[str, Any] = {"search": identity, "space": space}
            if search.follows:
                said["follows"] = self._decided_by(self.plan.searches[search.follows])
            self._searches[search.key] = digest(said)
        return self._searches[search.key]

    def _decided_by(self, search: Search) -> list[Any]:
        """What settings are that a search finds: another budget or rule may find others."""
        rule = search.space.pruning.model_dump() if search.space.pruning else None
        return [self.search_address(search), len(search.trials), rule]

    def pruned_name(self, key: str) -> str | None:
        """The record that stops a trial early; None without pruning, or of an unknown address.

        Under the search and its rule: another rule, or none, judges anew.
        """
        search = self._search_of(key)
        units = self.units(key) if search and search.space.pruning else None
        if search is None or search.space.pruning is None or units is None:
            return None
        rule = search.space.pruning.model_dump()
        return f"pruned/{digest([self.search_address(search), rule])}/{units[ONLY]}.json"

    def pruned(self, key: str) -> dict[str, Any] | None:
        """The record of a trial that was stopped early and is to stay so; see `revived`."""
        record = self._record(key)
        if record is None or self.commit(key):
            return None
        search = self._search_of(key)
        assert search
        return None if self.revived(search) == key else record

    def revived(self, search: Search) -> str | None:
        """The pruned trial that is to go on after all, since no other one of its search can win.

        The best of those that got farthest: all that were better diverged in the end.
        """
        if search.space.pruning is None:
            return None
        commits = {key: self.commit(key) for key in search.trials}
        if any(commit and commit.outcome["status"] == "done" for commit in commits.values()):
            return None
        found = {key: self._record(key) for key, commit in commits.items() if commit is None}
        records = {key: record for key, record in found.items() if record}
        if not records or len(records) < len(found):
            return None
        sign = 1 if self._higher_is_better(search.selections[0]) else -1
        return max(records, key=lambda key: _reached(records[key]["values"], sign))

    def _search_of(self, key: str) -> Search | None:
        job = self.plan.jobs[key]
        return self.plan.searches[job.declared["search"]] if job.kind == "tune" else None

    def _record(self, key: str) -> dict[str, Any] | None:
        name = self.pruned_name(key)
        return self._pruned.get(name) if name else None

    def parameters(self, job: Job) -> dict[str, Any] | None:
        """A trial's searched settings: as asked, or as the grid says; None if not yet asked."""
        assert job.trial is not None
        search = self.plan.searches[job.declared["search"]]
        asked = self.asks.get(self.search_address(search), {}).get(job.trial)
        if asked is not None:
            return asked
        if search.follows or search.space.sampler != "grid":
            return None
        return dict(search.space.grid[job.trial])

    def followed(self, job: Job) -> tuple[Search, str] | None:
        """The search that a trial takes its parameters from, and the split that picks them."""
        search = self._search_of(job.key)
        if search is None or not search.follows:
            return None
        return self.plan.searches[search.follows], search.selections[search.trials.index(job.key)]

    def winner(self, search: Search, selection: str) -> tuple[Job, dict[str, Any]] | None:
        """The trial that a selection split picks, with its best epoch; None if none finished.

        Ties: lower dev loss, earlier epoch, lower learning rate, lower trial number.
        """
        ranked = self.ranking(search, selection)
        return ranked[0] if ranked else None

    def ranking(self, search: Search, selection: str) -> list[tuple[Job, dict[str, Any]]]:
        """The finished trials of a search with their best epoch, best first."""
        found = []
        sign = -1 if self._higher_is_better(selection) else 1
        for key in search.trials_for(selection):
            job = self.plan.jobs[key]
            commit = self.commit(key)
            if commit is None or commit.outcome["status"] != "done":
                continue
            best = commit.outcome["selections"].get(selection)
            if best:
                rate = self.training(job)["learning_rate"]
                loss = math.inf if best["loss"] is None else best["loss"]
                order = (sign * best["value"], loss, best["epoch"], rate, job.trial)
                found.append((order, job, best))
        return [(job, best) for _, job, best in sorted(found, key=lambda item: item[0])]

    def _higher_is_better(self, selection: str) -> bool:
        task = selection.split("/")[0]
        return kinds.get(self.plan.cards[task].kind).higher_is_better

    def commit(self, key: str) -> Commit | None:
        """The commit of a job with one unit, if the store has it."""
        units = self.units(key)
        return self.commits.by_unit.get(units[ONLY]) if units else None

    def training(self, job: Job) -> dict[str, Any]:
        """All training settings of a train or tune job, searched ones included."""
        searched = self.parameters(job) if job.kind == "tune" else self.found(job)
        return settings(job.declared["training"], searched or {})

    def found(self, job: Job) -> dict[str, Any] | None:
        """The settings that a stage's own search found, once it has; None without a search."""
        search = self.stage_search(job)
        won = self.winner(search, search.selections[0]) if search else None
        return self.parameters(won[0]) if won else None

    def stage_search(self, job: Job) -> Search | None:
        """The search for a stage's settings, if it has one."""
        name = job.declared.get("search") if job.kind == "train" else None
        return self.plan.searches[name] if name else None

    # -- units, by kind ------------------------------------------------------------------------

    def _prepare_units(self, job: Job) -> dict[str, dict[str, Any]]:
        return self.prepared.units(job)

    def _train_units(self, job: Job) -> dict[str, dict[str, Any]]:
        search = self.stage_search(job)
        # By what they are found with, and not by what is found: known before, and of one outcome.
        found = {"found": self._decided_by(search)} if search else {}
        return {ONLY: {**found, **self.trainings.stage(job)}}

    def _tune_units(self, job: Job) -> dict[str, dict[str, Any]] | None:
        parameters = self.parameters(job)
        if parameters is None:
            return None
        # No part of the search: what is kept of its trials changes nothing of what it asks.
        keep = {"keep": list(job.declared["keep"])} if job.declared["keep"] else {}
        return {ONLY: {"tune": self.trainings.trial(job, parameters), **keep}}

    def _score_units(self, job: Job) -> dict[str, dict[str, Any]] | None:
        checkpoint = self.checkpoint(job)
        if checkpoint is None:
            return None
        target = job.target
        card = self.plan.cards[target]
        shared = {
            "checkpoint": checkpoint.identity,
            "kind": card.kind,
            "labels": list(card.labels),
            "representation": self.representation(job),
            "version": METRIC_VERSION,
        }
        length = job.declared["length"]
        unit, found = self.prepared.unit, dict[str, dict[str, Any]]()
        for name, (split, code) in job.declared["units"].items():
            said: dict[str, Any] = {"data": unit(target, split, code, length), **shared}
            others = kinds.get(card.kind).companions(card, split, code)
            if others:  # a threshold or a pool of candidates comes from them
                said["companions"] = [unit(target, *other, length) for other in others]
            found[name] = said
        return found

    def representation(self, job: Job) -> dict[str, Any] | None:
        """How a score job makes vectors of sentences; None where it is no retrieval."""
        if kinds.get(self.plan.cards[job.target].kind).needs_training:
            return None
        return self.plan.targets[job.target].representation.model_dump()

    def checkpoint(self, job: Job) -> Checkpoint | None:
        """What a score job scores; None until its search has picked a winner."""
        source = job.declared["checkpoint"]
        if "train" in source:
            parent = source["train"]
            return Checkpoint(parent, "checkpoint", self.trainings.parent(parent))
        search = self.plan.searches[source["search"]]
        if not all(self.commit(key) or self.pruned(key) for key in search.trials):
            return None
        won = self.winner(search, self.plan.selection_of(job.target))
        if won is None:
            return None
        winner, best = won
        found, weights = best, source.get("weights", SELECTED)
        if weights != SELECTED:
            commit = self.commit(winner.key)
            assert commit is not None, winner.key
            found = commit.outcome["kept"][weights]
        epochs: dict[str, int] = {
            name: found[name] for name in ("epoch", "epochs") if name in found
        }
        identity = {"tune": self.address(winner.key), **epochs}
        if epochs == {"epoch": best["epoch"]}:
            weights = SELECTED
        return Checkpoint(winner.key, found["checkpoint"], identity, epochs, weights)

    def parents(self, key: str) -> list[str]:
        """The addresses of the checkpoint that a job starts from, or scores: its lineage."""
        job = self.plan.jobs[key]
        if job.kind == "score":
            checkpoint = self.checkpoint(job)
            return [self.address(checkpoint.job)] if checkpoint and checkpoint.job else []
        parent = job.declared.get("parent")
        return [self.address(parent)] if parent else []

    def checkpoint_job(self, key: str) -> str | None:
        """The job whose checkpoint a score job reads, once it is known."""
        checkpoint = self.checkpoint(self.plan.jobs[key])
        return checkpoint.job if checkpoint else None


def _reached(values: list[float], sign: int) -> tuple[int, float]:
    return len(values), sign * values[-1]
