"""How large a base model is, from what a study says of it. No torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import ModelError
from sweeper.study import Study


@dataclass(frozen=True)
class Encoder:
    """The sizes of a Transformer encoder that decide how long it computes."""

    layers: int
    hidden: int
    feed_forward: int
    parameters: int

    @property
    def body(self) -> int:
        """Weights that every subword is multiplied with: those of the layers."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.feed_forward)


_BASE = Encoder(12, 768, 3072, 278_000_000)
_LARGE = Encoder(24, 1024, 4096, 560_000_000)
_MBERT = Encoder(12, 768, 3072, 178_000_000)
_HUB = {
    "xlm-roberta-base": _BASE,
    "FacebookAI/xlm-roberta-base": _BASE,
    "xlm-roberta-large": _LARGE,
    "FacebookAI/xlm-roberta-large": _LARGE,
    "bert-base-multilingual-cased": _MBERT,
    "google-bert/bert-base-multilingual-cased": _MBERT,
}


def encoder(study: Study) -> Encoder | None:
    """The sizes of a study's encoder; None for a model of which they are not known here."""
    scratch = study.base.scratch
    if scratch:
        size = scratch.hidden
        layer = 4 * size * size + 2 * size * scratch.feed_forward + 9 * size + scratch.feed_forward
        embedded = (scratch.vocabulary + scratch.max_length + 5) * size
        parameters = embedded + scratch.layers * layer
        return Encoder(scratch.layers, size, scratch.feed_forward, parameters)
    folder = study.folder / Path(study.base.model or "").expanduser()
    if not folder.is_dir():
        return _HUB.get(study.base.model or "")
    parameters = sum(_elements(file) for file in folder.glob("*.safetensors"))
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sizes = [said[k] for k in ("num_hidden_layers", "hidden_size", "intermediate_size")]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # whether the folder is a model is for who loads it to say
    if not parameters or not all(isinstance(one, int) and one > 0 for one in sizes):
        return None
    layers, hidden, feed_forward = sizes
    return Encoder(layers, hidden, feed_forward, parameters)


def checkpoint_bytes(study: Study) -> int | None:
    """Bytes of one checkpoint in fp32; None for a hub model whose size is not known here."""
    folder = study.folder / Path(study.base.model or "").expanduser()
    if study.base.model and folder.is_dir():
        return 4 * sum(_elements(file) for file in folder.glob("*.safetensors")) or None
    found = encoder(study)
    return 4 * found.parameters if found else None


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
