"""Snapshots of studies in two stores: of the same study, of one that goes on, or of another."""

from __future__ import annotations

import json
from typing import Any

from sweeper.store.contents import Contents
from sweeper.store.files import StoreFiles, canonical
from sweeper.tasks.sources import identity
from sweeper.yamlfile import LONGEST_NAME

_OF_A_PLACE = ("name", "description", "data", "tasks_path")
"""Keys of a study that decide nothing that is computed, once its cards and sources are known."""

Snapshot = dict[str, Any]


def studies(look: Contents, there: Contents) -> tuple[dict[str, bytes], dict[str, str]]:
    """The snapshots to be taken over, and each study's name where the stores are merged into.

    Of a study that means the same there, or goes on from what it was here, nothing is taken; one
    that goes on here gets its later snapshots there. Another study of the same name is taken
    under a name of its own.
    """
    theirs = {name: _snapshots(there.files, name) for name in there.files.names("studies")}
    mine = {name: _snapshots(look.files, name) for name in look.files.names("studies")}
    new: dict[str, bytes] = {}
    names = {}
    for name, ours in mine.items():
        known = theirs.get(name, [])
        names[name] = name
        meanings = [_meaning(one) for one in known]
        if meanings and _meaning(ours[-1]) in meanings:
            continue
        own = [_meaning(one) for one in ours]
        if known and meanings[-1] not in own:
            names[name] = _free(name, ours[-1], mine, theirs)
            if names[name] not in theirs:
                new[f"studies/{names[name]}/000000.json"] = _renamed(ours[-1], names[name])
            continue
        # All of it, or what came after the last one that is there.
        first = len(own) - own[::-1].index(meanings[-1]) if known else 0
        for number, one in enumerate(ours[first:], len(known)):
            new[f"studies/{name}/{number:06d}.json"] = canonical(one)
    return new, names


def _snapshots(files: StoreFiles, name: str) -> list[Snapshot]:
    return files.read_all(f"studies/{name}/{number}" for number in files.names(f"studies/{name}"))


def _meaning(snapshot: Snapshot) -> Any:
    """What decides a study's jobs and their addresses: no path, no time of a file."""
    study = json.loads(snapshot["study"])
    resolved = snapshot["resolved"]
    base = resolved["base"]
    if base:
        study["base"] = [base["weights"], base["tokenizer"]]
    sources = {place: identity(one) for place, one in resolved["sources"].items()}
    told = {key: value for key, value in study.items() if key not in _OF_A_PLACE}
    return told, list(study.get("intermediates", ())), snapshot["cards"], sources


def _free(
    name: str, last: Snapshot, mine: dict[str, list[Snapshot]], theirs: dict[str, list[Snapshot]]
) -> str:
    """A name for another study: one that no study has, or that it was given before."""
    number = 2
    while True:
        ending = f"_{number}"
        free = f"{name[: LONGEST_NAME - len(ending)]}{ending}"
        known = theirs.get(free)
        if known and _meaning(last) in map(_meaning, known):
            return free
        if not known and free not in mine:
            return free
        number += 1


def _renamed(snapshot: Snapshot, name: str) -> bytes:
    study = {**json.loads(snapshot["study"]), "name": name}
    return canonical({**snapshot, "study": json.dumps(study)})
