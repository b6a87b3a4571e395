"""Metrics as pure functions; all in percent (0..100) unless they say otherwise.

What needs no numpy is named here. The rest is imported from its module: `qa` and `squad_v2`
(answers), `neighbours`, `mining` and `ranking` (retrieval), `aggregate` (benchmarks' averages).
"""

from __future__ import annotations

from sweeper.tasks.metrics.accuracy import accuracy, choices
from sweeper.tasks.metrics.tagging import entity_f1, spans, token_accuracy

__all__ = ["METRIC_VERSION", "accuracy", "choices", "entity_f1", "spans", "token_accuracy"]

METRIC_VERSION: int = 2
"""Part of the address of every score: raise it when any metric's value changes."""
