"""Batches on the device, and what a model says about them: losses and predictions."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.errors import ModelError
from sweeper.training.batches import IGNORE, Collated

LOGITS = 1 << 27
"""How many numbers one block of vocabulary logits may hold (0.5 GB in float32)."""

READY_MASKS = ("bert", "camembert", "roberta", "xlm-roberta")
"""Model types of transformers 5 that take a mask of four dimensions as it is."""


@dataclass
class Batch:
    """A batch on the device.

    Attributes:
        ids: shape (rows, length).
        mask: 1 where ``ids`` is no padding; None without padding, which lets SDPA skip it.
        labels: of the predicted items, in order, shape (items,).
        positions: flat places of the predicted items in ``ids``; None: one item per row.
    """

    ids: Tensor
    mask: Tensor | None
    labels: Tensor
    positions: Tensor | None


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(where: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 arithmetic on a GPU (weights stay float32); float32 on the CPU."""
    if where.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def to_device(collated: Collated, where: torch.device) -> Batch:
    """Copy a batch; what depends on its contents is computed here, so that a GPU never waits."""
    longest = collated.ids.shape[1]
    mask = None
    if int(collated.lengths.min()) < longest:
        mask = _tensor((np.arange(longest) < collated.lengths[:, None]).astype(np.int64), where)
    labels = collated.labels
    positions = None
    if labels.ndim == 2 and labels.shape[1]:
        places = np.flatnonzero(labels != IGNORE)
        labels = labels.ravel()[places]
        positions = _tensor(places, where)
    return Batch(_tensor(collated.ids, where), mask, _tensor(labels, where), positions)


def _tensor(array: npt.NDArray[Any], where: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if where.type == "cuda":
        return tensor.pin_memory().to(where, non_blocking=True)
    return tensor


def encode(model: PreTrainedModel, batch: Batch, **more: Any) -> Any:
    """The outputs of ``model`` (of a head or of the bare encoder) for ``batch``.

    On a GPU a padding mask of shape (rows, length) would be read back, to see whether it masks
    anything. The families that take a mask of shape (rows, 1, length, length) as it is get that.
    """
    mask = batch.mask
    if mask is not None and mask.is_cuda and model.config.model_type in READY_MASKS:
        mask = ready_mask(mask)
    return model(input_ids=batch.ids, attention_mask=mask, **more)


def ready_mask(mask: Tensor) -> Tensor:
    """The mask (rows, length) as SDPA takes it: boolean, shape (rows, 1, length, length)."""
    return mask.bool()[:, None, None, :].expand(-1, 1, mask.shape[1], -1)


def loss_sum(model: PreTrainedModel, kind: str, batch: Batch) -> Tensor:
    """The summed cross-entropy (nats, float32) of everything that the batch predicts."""
    return functional.cross_entropy(_logits(model, kind, batch), batch.labels, reduction="sum")


def predictions(model: PreTrainedModel, kind: str, batch: Batch) -> tuple[Tensor, Tensor]:
    """The predicted label and the cross-entropy of every item of the batch, in order."""
    if kind == "masked_lm":
        return _words(model, batch)
    logits = _logits(model, kind, batch)
    return logits.argmax(-1), functional.cross_entropy(logits, batch.labels, reduction="none")


def _logits(model: PreTrainedModel, kind: str, batch: Batch) -> Tensor:
    """The logits of the predicted items, float32, shape (items, classes)."""
    if kind == "masked_lm":
        return _vocabulary(model, _hidden(model, batch))
    logits = encode(model, batch).logits
    if batch.positions is not None:
        logits = logits.flatten(0, 1).index_select(0, batch.positions)
    return logits.float()


def _hidden(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The last hidden states at the predicted positions: only these need the vocabulary."""
    hidden: Tensor = encode(model.base_model, batch).last_hidden_state.flatten(0, 1)
    return hidden if batch.positions is None else hidden.index_select(0, batch.positions)


def _vocabulary(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """The masked-LM head alone: ``lm_head`` in the RoBERTa family, ``cls`` in BERT's."""
    for name in ("lm_head", "cls"):
        head = getattr(model, name, None)
        if head is not None:
            return head(hidden).float()
    raise ModelError(
        f"sweeper does not know the masked-LM head of {type(model).__name__}. Use an encoder of "
        "the BERT or RoBERTa families."
    )


def _words(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """`predictions` of a masked LM, in blocks: all logits of a large batch would not fit."""
    hidden = _hidden(model, batch)
    block = max(1, LOGITS // int(model.config.vocab_size))
    words, losses = [], []
    for start in range(0, max(1, len(hidden)), block):
        logits = _vocabulary(model, hidden[start : start + block])
        labels = batch.labels[start : start + block]
        words.append(logits.argmax(-1))
        losses.append(functional.cross_entropy(logits, labels, reduction="none"))
    return torch.cat(words), torch.cat(losses)
