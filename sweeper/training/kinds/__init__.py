"""Kinds on the torch side: a kind's model, its batches, its loss and its outputs.

One module per kind, which bears the name of the kind's module in `sweeper.tasks.kinds` and defines
``KIND``. A new kind is a module in each of the two folders; nothing else has to know of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sweeper.errors import ModelError, suggest
from sweeper.training.kinds.base import Embedded, Head, Scored, TorchKind, Trained

__all__ = ["Embedded", "Head", "Scored", "TorchKind", "Trained", "get", "names", "trained"]


@cache
def names() -> tuple[str, ...]:
    """The names of all kinds, which are the names of the modules beside this one."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if name != "base" and not name.startswith("_")))


@cache
def get(name: str) -> TorchKind:
    """The torch side of the kind called ``name``; `ModelError` if it has none."""
    if name not in names():
        raise ModelError(f"There is no model for tasks of kind {name!r}.{suggest(name, names())}")
    kind: TorchKind = importlib.import_module(f"{__name__}.{name}").KIND
    return kind


def trained(head: Head) -> Trained:
    """The torch side of a head that can be trained; `ModelError` if its kind has no head."""
    kind = get(head.kind)
    if not isinstance(kind, Trained):
        raise ModelError(
            f"{head.task} is of kind {head.kind}, which has no head to train. Leave it out of "
            "the training tasks."
        )
    return kind
