"""Matrices and tables as CSV, Parquet, JSON, Markdown, LaTeX and XLSX."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from sweeper.analysis.matrix import TransferMatrix
from sweeper.errors import StoreError, suggest
from sweeper.report.asjson import as_json
from sweeper.report.data import matrix_data
from sweeper.report.latex import latex, latex_table
from sweeper.report.markdown import markdown, markdown_table

if TYPE_CHECKING:
    import pandas as pd

_FOR_MACHINES = (
    *("job", "unit", "address", "attempt", "checkpoint", "representation", "main"),
    *("parents", "versions", "curve", "selections", "kept", "ranking", "weights"),
)

_NESTED = (
    *("parameters", "selections", "kept", "curve", "parents", "made_from", "versions"),
    "representation",
)
"""Columns of JSON text, which JSON itself can hold as they are."""

FORMATS = ("csv", "parquet", "json", "markdown", "latex", "xlsx")


def export(data: TransferMatrix | pd.DataFrame, format: str) -> bytes:
    """A matrix or a table in one of `FORMATS`, as a file's content.

    In CSV and Parquet a matrix is long: a row per cell with value, error, seeds, state and flags;
    JSON has the same under "cells", after what the matrix is; XLSX has both forms.

    Raises:
        StoreError: there is no such format.
    """
    if format not in FORMATS:
        raise StoreError(f"There is no export format {format!r}.{suggest(format, FORMATS)}")
    if format == "csv":
        return _flat(_frame(data)).to_csv(index=False, lineterminator="\n").encode()
    if format == "parquet":
        buffer = io.BytesIO()
        _frame(data).to_parquet(buffer, index=False, compression="zstd")
        return buffer.getvalue()
    if format == "json":
        return _json(data).encode()
    if format == "xlsx":
        from sweeper.report import xlsx

        return xlsx.workbook(data) if isinstance(data, TransferMatrix) else xlsx.table(data)
    if isinstance(data, TransferMatrix):
        text = markdown(data) if format == "markdown" else latex(data)
    else:
        read = for_people(data)
        text = markdown_table(read) if format == "markdown" else latex_table(read)
    return text.encode()


def for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that only files for machines have: nobody reads them in a text."""
    # Those of a trial are what it is about; in a table of scores they hide the scores.
    of_scores = ("parameters",) if "metric" in frame else ()
    return frame.drop(columns=[name for name in (*_FOR_MACHINES, *of_scores) if name in frame])


def _frame(data: TransferMatrix | pd.DataFrame) -> pd.DataFrame:
    return data.to_frame() if isinstance(data, TransferMatrix) else data


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """With lists as JSON, for a format that has none."""
    if "ranking" not in frame:
        return frame
    told = frame["ranking"].map(lambda ids: json.dumps(list(ids)), na_action="ignore")
    return frame.assign(ranking=told)


def _json(data: TransferMatrix | pd.DataFrame) -> str:
    """A list of rows, a line each; of a matrix what `sweeper matrix --json` prints."""
    if isinstance(data, TransferMatrix):
        return f"{as_json(matrix_data(data))}\n"
    frame = data
    for name in _NESTED:
        if name in frame:
            frame = frame.assign(**{name: frame[name].map(json.loads, na_action="ignore")})
    frame = frame.astype(object).where(frame.notna(), None)
    lines = [
        json.dumps(row, default=_plain, ensure_ascii=False) for row in frame.to_dict("records")
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def _plain(value: Any) -> Any:
    """A number or array of numpy as Python's own."""
    return value.tolist()
