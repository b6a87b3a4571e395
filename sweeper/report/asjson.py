"""What the commands print with ``--json``: one document on standard output."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def as_json(data: Any) -> str:
    """Plain data, dataclasses too, as indented JSON; what is no finite number is null."""
    return json.dumps(_plain(data), indent=2, ensure_ascii=False)


def _plain(data: Any) -> Any:
    if is_dataclass(data) and not isinstance(data, type):
        return _plain(asdict(data))
    if isinstance(data, Mapping):
        return {str(name): _plain(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value) for value in data]
    if isinstance(data, (set, frozenset)):
        return sorted(_plain(value) for value in data)
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    return str(data)  # a path, a date
