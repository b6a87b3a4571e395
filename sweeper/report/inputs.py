"""Inputs that differ, in the words of the study: what a person would have to change."""

from __future__ import annotations

from typing import Any

from sweeper.addressing import ONLY
from sweeper.analysis.nearest import ABSENT, Input
from sweeper.graph import TOKENIZER, Job, Plan

_LONGEST = 60


def words(plan: Plan, key: str, found: Input) -> str:
    """An input that differs, of the job with this key, as a person would say it."""
    job = plan.jobs[key]
    if not found.path:
        return f"{found.here} is asked for here; done there: {_cut(str(found.there))}"
    if found.path == ("?",):
        return "what the other one was made from was not recorded yet when it was made"
    if job.kind == "prepare":
        return _of_data(plan, job, found)
    path = found.path[1:] if found.path[0] == "tune" else found.path
    if path[0] in ("version", "versions"):
        return _versions(job.kind, found)
    if path[0] == "random":
        return "its random numbers: they are drawn for another seed or place in the study"
    if path == ("train",):
        here, there = ([one["task"] for one in tasks] for tasks in (found.here, found.there))
        return f"trained on: {_shown(here)} here, {_shown(there)} there"
    return _pair(_training_name(path), found)


def _of_data(plan: Plan, job: Job, found: Input) -> str:
    """Of a `prepare` job: of the rows, or of how they are encoded."""
    if job.key == TOKENIZER:
        if found.path == ("size",):
            return _pair("base.scratch.vocabulary", found)
        text = job.declared["text"]
        _, code, *path = found.path
        return _of_rows(plan, text["task"], "train", code, path, found)
    task, split = job.declared["task"], job.declared["split"]
    if found.path[0] == "data":
        return _of_rows(plan, task, split, ", ".join(found.units), found.path[1:], found)
    if found.path[0] == "version":
        return _versions("prepare", found)
    name = {"length": f"max_length of {task}/{split}", "tokenizer": "tokenizer of the base model"}
    return _pair(name[found.path[0]], found)


def _of_rows(plan: Plan, task: str, split: str, code: str, path: Any, found: Input) -> str:
    place = f"{task}/{split}" if code == ONLY else f"{task}/{split}/{code}"
    first, *rest = path or ["data"]
    if first == "limit":
        return _pair(f"limit of {task}/{split}", found)
    if first == "keep_going":
        return _pair("keep_going (broken rows are left out)", found)
    if first == "data":
        return f"{place} is read here and was not there"
    if first != "content":
        return _pair(".".join([f"{first} in the card of {task}", *rest]), found)
    if rest[-1:] == ["sha256"]:
        return f"the files of {place} have changed (SHA-256 {_hashes(found)})"
    if rest[-1:] == ["revision"]:
        return _pair(f"the hub's revision of {place}", found)
    if rest[-1:] == ["version"]:
        return _pair(f"version of the generator of {place}", found)
    return _pair(f"where {place} comes from ({'.'.join(rest)})", found)


def _hashes(found: Input) -> str:
    """The first hashes that differ, or the numbers of files."""
    here, there = found.here, found.there
    if not isinstance(here, list) or not isinstance(there, list) or len(here) != len(there):
        return "of other files"
    one, other = next((a, b) for a, b in zip(here, there, strict=True) if a != b)
    return f"{one[:8]}.. here, {other[:8]}.. there"


def _training_name(path: tuple[str, ...]) -> str:
    """What the study calls an input of a training or a score."""
    first, *rest = path
    if first == "sampler":
        return "sampler" if rest == ["name"] else ".".join(rest)
    if first == "train":
        return "trained on" if rest[-1] in ("task", "data") else "the order of its languages"
    if first == "select":
        what = {"data": "data", "metric": "metric"}.get(rest[-1], "")
        return f"selection split {rest[0]}{f' ({what})' if what else ''}"
    if first == "parent" and rest[:1] == ["scratch"]:
        return ".".join(["base", *rest])
    if first == "parent" and rest:
        return f"base model ({'.'.join(rest)})"
    names = {
        "parent": "starts from",
        "checkpoint": "scores the checkpoint of",
        "data": "scored data",
        "companions": "data that it cannot be scored without",
        "keep": "kept beside the best epoch (checkpoints)",
    }
    if first == "checkpoint" and rest in (["epoch"], ["epochs"]):
        return "epoch of the checkpoint" if rest == ["epoch"] else "epochs that are averaged"
    if first in names:
        return names[first]
    return ".".join(path)


_VERSIONS = {
    "prepare": ("encoding",),
    "train": ("training",),
    "tune": ("training", "metric"),
    "score": ("metric",),
}


def _versions(kind: str, found: Input) -> str:
    several = [v if isinstance(v, list) else [v] for v in (found.here, found.there)]
    said = [
        f"{name} version {here} here, {there} there"
        for name, here, there in zip(_VERSIONS[kind], *several, strict=False)
        if here != there
    ]
    return "; ".join(said)


def _pair(name: str, found: Input) -> str:
    return f"{name}: {_shown(found.here)} here, {_shown(found.there)} there"


def _shown(value: Any) -> str:
    if value is None or value == ABSENT:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _cut(", ".join(map(_shown, value))) or "none"
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
