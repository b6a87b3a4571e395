"""Asks of two stores: what a search has been asked for there, and here.

An ask is the truth of a search: the number of a trial leads to its parameters, these to its
address, and that to its outcome. So no ask is replaced. Where both stores asked for other
parameters under one number, those of the store that is merged become another trial of the same
search: the sampler learns of it, and who raises the budget finds it done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweeper.store.contents import Contents
from sweeper.store.files import StoreFiles, canonical


@dataclass(frozen=True)
class OtherAsk:
    """A trial for which two stores asked with other parameters.

    Attributes:
        search: The search's key.
        number: The trial's number in both.
        kept: Its parameters where the stores were merged into.
        other: Those of the other store, and ``becomes`` the number that these have now.
    """

    search: str
    number: int
    kept: dict[str, Any]
    other: dict[str, Any]
    becomes: int


def asks(look: Contents, there: Contents) -> tuple[dict[str, bytes], list[OtherAsk]]:
    """The asks that are to be made where the stores are merged into, and those that differ."""
    ours = look.below("asks")
    mine, kept = _read(look.files, ours), _read(there.files, there.below("asks"))
    new: dict[str, bytes] = {}
    conflicts = []
    for folder in sorted({name.split("/")[1] for name in ours}):
        said = mine.get(folder, {})
        known = {number: one["parameters"] for number, one in kept.get(folder, {}).items()}
        for number in sorted(said.keys() - known.keys()):
            new[f"asks/{folder}/{number}.json"] = canonical(said[number])
            known[number] = said[number]["parameters"]
        for number, one in sorted(said.items()):
            parameters = one["parameters"]
            if known[number] == parameters:
                continue
            becomes = next((n for n, other in known.items() if other == parameters), None)
            if becomes is None:
                becomes = next(n for n in range(len(known) + 1) if n not in known)
                known[becomes] = parameters
                new[f"asks/{folder}/{becomes}.json"] = canonical({**one, "number": becomes})
            found = OtherAsk(one["search"], number, known[number], parameters, becomes)
            conflicts.append(found)
    return new, conflicts


def _read(files: StoreFiles, names: Iterable[str]) -> dict[str, dict[int, dict[str, Any]]]:
    """Search -> trial -> what its ask says."""
    several = list(names)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for name, content in zip(several, files.contents(several), strict=True):
        one = files.parsed(name, content)
        found.setdefault(name.split("/")[1], {})[one["number"]] = one
    return found
