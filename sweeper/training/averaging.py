"""The mean of a model's weights over its epochs, taken while it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sweeper.training.loop import weights
from sweeper.training.models import Heads
from sweeper.training.resume import Tensors

AVERAGED = "averaged"
"""The name of the folder (and, with the number of epochs, of the kept tensors) of the mean."""


class RunningMean:
    """The uniform mean of all parameters after each epoch, in float32 and main memory.

    The protocol of F. D. Schmidt, I. Vulić and G. Glavaš, "Free Lunch: Robust Cross-Lingual
    Transfer via Model Checkpoint Averaging" (ACL 2023): the epochs of one training, of equal
    weight. Kept as a running mean, it takes one copy of the model, however many epochs there are.

    Attributes:
        count: How many epochs are in it.
        tensors: The mean; empty before the first.
    """

    def __init__(self, count: int = 0, tensors: Tensors | None = None) -> None:
        self.count = count
        self.tensors = tensors or {}

    def add(self, model: Heads) -> None:
        """Take in the model as it is after an epoch."""
        self.count += 1
        for name, tensor in weights(model).items():
            now = tensor.to("cpu", torch.float32)
            if name in self.tensors:
                self.tensors[name].lerp_(now, 1 / self.count)
            else:
                self.tensors[name] = now.clone()

    @contextmanager
    def in_place(self, model: Heads) -> Iterator[None]:
        """The model has the mean's weights inside the ``with`` block, and its own after it."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    def _swap(self, model: Heads) -> None:
        """Tensor by tensor, so that no second copy of the model is needed."""
        for name, tensor in weights(model).items():
            own = tensor.to("cpu", copy=True)
            tensor.copy_(self.tensors[name])
            self.tensors[name] = own
