"""Batches on the device, and the encoder over them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sweeper.training.batches import IGNORE, Collated, spans

KNOWN = ("bert", "camembert", "roberta", "xlm-roberta")
"""Model types of transformers 5 that take a mask of four dimensions as it is, and whose encoder
is ``embeddings`` and ``encoder.layer``, nothing after the last one."""


@dataclass
class Batch:
    """A batch on the device.

    Attributes:
        ids: shape (sequences, length).
        mask: 1 where ``ids`` is no padding; None without padding, which lets SDPA skip it.
        labels: of the predicted items, in order, shape (items, ...).
        positions: flat places of the predicted items in ``ids``; None: one item per row.
        cells: where the sequences stand in a flat table of ``table`` (rows, most sequences of a
            row); None: a row is one sequence.
    """

    ids: Tensor
    mask: Tensor | None
    labels: Tensor
    positions: Tensor | None
    cells: Tensor | None = None
    table: tuple[int, int] = (0, 0)


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(where: torch.device) -> str:
    """The arithmetic of a model on a device; its weights are always float32."""
    return "bfloat16" if where.type == "cuda" else "float32"


def autocast(where: torch.device) -> AbstractContextManager[Any]:
    """The arithmetic of `precision`, while the context lasts."""
    if precision(where) == "bfloat16":
        return torch.autocast(where.type, torch.bfloat16)
    return nullcontext()


def to_device(collated: Collated, where: torch.device) -> Batch:
    """Copy a batch; what depends on its contents is computed here, so that a GPU never waits."""
    longest = collated.ids.shape[1]
    mask = None
    if int(collated.lengths.min()) < longest:
        mask = _tensor((np.arange(longest) < collated.lengths[:, None]).astype(np.int64), where)
    labels = collated.labels
    positions = cells = None
    table = (0, 0)
    if collated.aligned:
        places = np.flatnonzero(labels != IGNORE)
        labels = labels.ravel()[places]
        positions = _tensor(places, where)
    if collated.sequences is not None:
        rows, most = len(collated), int(collated.sequences.max())
        table = (rows, most)
        cells = _tensor(spans(np.arange(rows) * most, collated.sequences), where)
    ids, labelled = _tensor(collated.ids, where), _tensor(labels, where)
    return Batch(ids, mask, labelled, positions, cells, table)


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
    if mask is not None and mask.is_cuda and model.config.model_type in KNOWN:
        mask = ready_mask(mask)
    return model(input_ids=batch.ids, attention_mask=mask, **more)


def ready_mask(mask: Tensor) -> Tensor:
    """The mask (rows, length) as SDPA takes it: boolean, shape (rows, 1, length, length)."""
    return mask.bool()[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
