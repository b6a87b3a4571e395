"""Values of tables as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def is_number(series: pd.Series[Any]) -> bool:
    """Whether a column holds numbers."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(series) and not is_bool_dtype(series)


def lacks(value: Any) -> bool:
    """Whether there is no value: None, NaN or pandas' own."""
    missing = isinstance(value, float) and math.isnan(value)
    return value is None or missing or str(value) == "<NA>"


def readable(value: Any) -> str:
    """A value as a person reads it: four decimal places at most, nothing where there is none."""
    if lacks(value):
        return ""
    return f"{value:z.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def rounded(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with so many decimals, with its sign if ``signed``; what rounds to 0 has none."""
    said = f"{value:+z.{digits}f}" if signed else f"{value:z.{digits}f}"
    return said.removeprefix("+") if float(said) == 0 else said
