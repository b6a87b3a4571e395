"""Tokenizers: loading one, and training a small one in the manner of XLM-R."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import DataError, ModelError

if TYPE_CHECKING:
    from sweeper.tasks.kinds.base import Tokenizer

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""The special tokens of a trained tokenizer by id; the first four are XLM-R's."""


def load(name: str | Path, revision: str | None = None) -> Tokenizer:
    """The fast tokenizer in a folder, or of a model on the Hugging Face hub.

    Raises:
        ModelError: there is none, or it is not a fast one with the special tokens that are needed.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(name), revision=revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise ModelError(
            f"There is no tokenizer to load from {str(name)!r}: {reason}. Give a folder with "
            "tokenizer.json, or the name of a model on the hub."
        ) from None
    if not tokenizer.is_fast:
        raise ModelError(
            f"A tokenizer must be a fast one (with a tokenizer.json); that of {str(name)!r} is "
            f"{type(tokenizer).__name__}. Convert it, or choose another model."
        )
    for token in ("unk_token", "pad_token"):
        if getattr(tokenizer, token) is None:
            raise ModelError(
                f"A tokenizer must have a {token}; that of {str(name)!r} has none. Set it and "
                "save the tokenizer again, or choose another model."
            )
    return tokenizer


def train(texts: Iterator[str], vocabulary: int, folder: Path) -> None:
    """Train a BPE tokenizer, saved so that ``AutoTokenizer.from_pretrained(folder)`` loads it.

    Special tokens, word marks and the frames ``<s> A </s>`` and ``<s> A </s></s> B </s>`` are
    those of XLM-R. The same texts in the same order give the same files.

    Args:
        texts: the text to learn from.
        vocabulary: the number of tokens, special ones included.
        folder: where to save; made if missing.

    Raises:
        DataError: there is no text, or ``vocabulary`` is smaller than the alphabet of the text.
    """
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[3]))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    # The mask swallows the space before it, as in XLM-R.
    special = [AddedToken(t, lstrip=t == "<mask>", special=True) for t in SPECIAL_TOKENS]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    _check_vocabulary(tokenizer.get_vocab_size(), vocabulary)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:0 </s>:0",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(_config(), indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def _check_vocabulary(learnt: int, wanted: int) -> None:
    if learnt <= len(SPECIAL_TOKENS):
        raise DataError("A tokenizer needs text to learn from; there is none. Give it some rows.")
    if learnt > wanted:
        raise DataError(
            f"A tokenizer's vocabulary must hold the alphabet of its text and the special tokens, "
            f"here {learnt}; it is {wanted}. Raise `vocabulary`."
        )


def _config() -> dict[str, object]:
    return {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "mask_token": "<mask>",
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
    }
