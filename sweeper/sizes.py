"""How large a base model is on disk, from what a study says of it. No torch."""

from __future__ import annotations

import json
import math
from pathlib import Path

from sweeper.errors import ModelError
from sweeper.study import Study

_HUB_PARAMETERS = {
    "xlm-roberta-base": 278_000_000,
    "FacebookAI/xlm-roberta-base": 278_000_000,
    "xlm-roberta-large": 560_000_000,
    "FacebookAI/xlm-roberta-large": 560_000_000,
    "bert-base-multilingual-cased": 178_000_000,
    "google-bert/bert-base-multilingual-cased": 178_000_000,
}


def checkpoint_bytes(study: Study) -> int | None:
    """Bytes of one checkpoint in fp32; None for a hub model whose size is not known here."""
    scratch = study.base.scratch
    if scratch:
        size = scratch.hidden
        layer = 4 * size * size + 2 * size * scratch.feed_forward + 9 * size + scratch.feed_forward
        embedded = (scratch.vocabulary + scratch.max_length + 5) * size
        return 4 * (embedded + scratch.layers * layer)
    folder = Path(study.base.model or "").expanduser()
    if (study.folder / folder).is_dir():
        weights = (study.folder / folder).glob("*.safetensors")
        return 4 * sum(_elements(file) for file in weights) or None
    parameters = _HUB_PARAMETERS.get(study.base.model or "")
    return 4 * parameters if parameters else None


def _elements(file: Path) -> int:
    """How many numbers a safetensors file holds: its header is a length and JSON."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        raise ModelError(
            f"{file} is not a safetensors file ({error}). Save the model anew."
        ) from None
    return sum(math.prod(shape) for shape in shapes)
