"""How large a base model is on disk, from what a study says of it. No torch."""

from __future__ import annotations

from pathlib import Path

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
        weights = [*(study.folder / folder).glob("*.safetensors")]
        return sum(file.stat().st_size for file in weights) or None
    parameters = _HUB_PARAMETERS.get(study.base.model or "")
    return 4 * parameters if parameters else None
