"""A matrix with a cell of every state and mark, made without a store."""

from __future__ import annotations

from typing import Any

from sweeper.analysis.cell import Column, MatrixCell, Member
from sweeper.analysis.matrix import TransferMatrix

SEEDS = (0, 1, 2)

MARKUP = "<script>document.title = 'caught'</script><b>bold</b>"
"""A name, or a description, that a page must show as it is."""


def column(target: str, *languages: str, group: str | None = None, **changes: Any) -> Column:
    said: dict[str, Any] = {
        "metric": "accuracy",
        "unit": "percent",
        "others": (),
        "zero_shot": True,
        "selection": f"trial and epoch with the highest accuracy on {target}/dev/en",
        "higher_is_better": True,
    }
    member = Member(target, "test", languages)
    return Column(target=target, group=group, members=(member,), **{**said, **changes})


def done(value: float, error: float | None = 0.5, **changes: Any) -> MatrixCell:
    return MatrixCell(value, error, SEEDS, "done", n=100, **changes)


def lacking(state: str) -> MatrixCell:
    return MatrixCell(None, None, (), state)


def matrix(**changes: Any) -> TransferMatrix:
    """Gains of four rows on three columns; the last has no zero-shot language."""
    columns = (column("xnli", "de", "sw"), column("panx_r", "fi"), column("udpos"))
    cells = {
        ("better", "xnli"): done(
            2.0, interval=(1.0, 3.0), covers="seeds and examples", p=0.001, p_holm=0.004, q=0.002,
            overlap=("same data as the training task",),
        ),
        ("better", "panx_r"): done(0.0, None, deterministic=True),
        ("worse", "xnli"): done(
            -2.0, interval=(-3.25, -1.0), covers="seeds and examples", p=0.3, p_holm=0.6, q=0.6,
            collapsed=(1,),
        ),
        ("worse", "panx_r"): lacking("running"),
        ("part", "xnli"): MatrixCell(1.5, 0.25, (0, 2), "partial", n=100, untested="few seeds"),
        ("part", "panx_r"): lacking("failed"),
        ("gone", "xnli"): lacking("blocked"),
        ("gone", "panx_r"): lacking("not run"),
    }  # fmt: skip
    rows = ("better", "worse", "part", "gone")
    said: dict[str, Any] = {
        "study": "made",
        "value": "gain",
        "by": "task",
        "rows": rows,
        "columns": columns,
        "seeds": SEEDS,
        "cells": {**cells, **{(row, "udpos"): lacking("no data") for row in rows}},
        "trained_on": {row: row for row in rows} | {"part": "mnli + ccg > quail"},
        "limits": {"xnli/test": 100},
        "family": 2,
        "draws": 2000,
    }
    return TransferMatrix(**{**said, **changes})


def unfinished(count: int, columns: int) -> TransferMatrix:
    """Nothing is done yet."""
    rows = tuple(f"row{number}" for number in range(count))
    chosen = tuple(column(f"target{number}", "de") for number in range(columns))
    cells = {(row, c.target): lacking("not run") for row in rows for c in chosen}
    return matrix(rows=rows, columns=chosen, cells=cells, trained_on={}, limits={}, family=0)
