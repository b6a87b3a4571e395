"""``predictions.json``: which checkpoint each target's files in a folder of predictions are of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from sweeper.errors import DataError
from sweeper.report.layout import MANIFEST


@dataclass(frozen=True)
class Told:
    """Where a target's predictions come from.

    ``overlap`` is what their scores share with training or selection, ``limits`` the study's:
    split -> how many first examples were predicted; ``keep_going``: whether it left broken rows
    out. ``files`` are paths below the folder.
    """

    study: str
    intermediate: str
    seed: int
    checkpoint: str
    overlap: list[str]
    limits: dict[str, int]
    keep_going: bool
    files: list[str]


_TARGETS = TypeAdapter(dict[str, Told])


def read(folder: Path) -> dict[str, Told]:
    """Target -> where its predictions come from; nothing where the folder does not say.

    Raises:
        DataError: the file is not as `write` leaves it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        return _TARGETS.validate_python(json.loads(path.read_text(encoding="utf-8"))["targets"])
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{path} is not as `sweeper export predictions` writes it. Take it away, or export "
            "again."
        ) from None


def content(targets: Mapping[str, Told]) -> str:
    """What the file holds."""
    told = {name: asdict(one) for name, one in targets.items()}
    return json.dumps({"format": "xtreme", "targets": told}, indent=2) + "\n"
