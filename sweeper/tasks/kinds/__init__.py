"""Kinds: how the rows of a task are checked, encoded and evaluated. One module per kind.

A new kind is a new module here that defines ``KIND``; nothing else has to know of it. Importing a
kind is cheap: pyarrow and numpy are imported by the functions that need them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sweeper.errors import StudyError, suggest
from sweeper.tasks.kinds.base import Encoded, Evaluation, Kind

__all__ = ["Encoded", "Evaluation", "Kind", "get", "names"]


@cache
def names() -> tuple[str, ...]:
    """The names of all kinds, which are the names of the modules beside this one."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if name != "base" and not name.startswith("_")))


@cache
def get(name: str) -> Kind:
    """The kind called ``name``; `StudyError` if there is none."""
    if name not in names():
        raise StudyError(f"There is no task kind {name!r}.{suggest(name, names())}")
    kind: Kind = importlib.import_module(f"{__name__}.{name}").KIND
    return kind
