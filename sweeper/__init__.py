"""Sweeper: which intermediate training helps which target, in which language, by measurement.

from sweeper import Study, Store, plan, run
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.analysis.matrix import TransferMatrix
    from sweeper.analysis.store import Store
    from sweeper.engine.sweep import run
    from sweeper.planning import plan
    from sweeper.study import Study

__version__ = "0.1.0"
__all__ = ["Store", "Study", "TransferMatrix", "plan", "run"]

# Loaded at first use: `import sweeper` brings neither torch nor ray nor pandas.
_PLACES = {
    "Store": "sweeper.analysis.store",
    "Study": "sweeper.study",
    "TransferMatrix": "sweeper.analysis.matrix",
    "plan": "sweeper.planning",
    "run": "sweeper.engine.sweep",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
