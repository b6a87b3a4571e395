"""How much fits a device at once: learnt from what ran out of its memory, kept in the store.

``limits/<shape>/<device>.<size>`` says that so many examples (of a training) or padded subwords
(of a scoring) at once ran out of a device's memory, with a model and inputs of one shape. A job
that finds it takes half as many at once; its batches, as the study says them, stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from sweeper.cores import gpu_share
from sweeper.errors import ModelError
from sweeper.store.files import digest
from sweeper.training import forward
from sweeper.training.models import Heads

SIZES = (
    "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "vocab_size", "max_position_embeddings",
)  # fmt: skip
"""What of a model's configuration decides how much memory it takes."""


CONTEXT = 1e9
"""Bytes of a GPU that CUDA itself takes per process, at most."""


class OutOfMemory(Exception):
    """A device ran out of memory, and a smaller piece may fit it.

    Attributes:
        name: Where the store is to keep it.
        record: What it is to keep.
    """

    def __init__(self, message: str, name: str, record: dict[str, Any]) -> None:
        super().__init__(message)
        self.name = name
        self.record = record


@dataclass(frozen=True)
class Limit:
    """At most ``size`` go through the device at once, of something of which ``least`` must."""

    size: int
    least: int
    unit: str
    device: str
    shape: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def trying(self, count: int) -> Iterator[None]:
        """Put ``count`` through the device, in the ``with`` block.

        Raises:
            OutOfMemory: its memory ran out.
            ModelError: the same, and no fewer are possible.
        """
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            pieces = f"{count} {self.unit}{'s' * (count != 1)}"
            said = f"the memory of {self.device} ran out with {pieces} at once"
            if count <= self.least:
                raise ModelError(
                    f"{said}, and fewer are not possible. Lower `max_length`, or use a smaller "
                    "base model or a device with more memory."
                ) from error
            name = f"{_folder(self.shape)}/{_slug(self.device)}.{count}"
            record = {"shape": dict(self.shape), "device": self.device, "size": count}
            raise OutOfMemory(f"{said}; the next attempt takes half", name, record) from error


class Limits:
    """The limits that a store knows: ``names`` lists the names in one of its folders."""

    def __init__(self, names: Callable[[str], list[str]] = lambda folder: []) -> None:
        self._names = names

    def training(self, model: Heads, settings: Mapping[str, Any]) -> Limit:
        """Examples at once, of a training with these settings (`sweeper.study.Training`)."""
        shape = {**_shape(model, "train"), "length": settings["max_length"]}
        return self._limit(model, shape, settings["batch"], 1, "example")

    def scoring(self, model: Heads, most: int, longest: int) -> Limit:
        """Padded subwords at once, of at most ``most``; the longest row has ``longest``."""
        return self._limit(model, _shape(model, "score"), most, longest, "padded subword")

    def _limit(
        self, model: Heads, shape: dict[str, Any], most: int, least: int, unit: str
    ) -> Limit:
        device = device_name(model.encoder.device)
        slug = _slug(device)
        known = (name.rpartition(".") for name in self._names(_folder(shape)))
        failed = [int(size) for owner, _, size in known if owner == slug]
        # What is smaller than all that failed may fit, such as the whole batch of another study.
        size = most if most < min(failed, default=most + 1) else min(failed) // 2
        return Limit(max(least, size), least, unit, device, shape)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a device or of its host."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and ("ALLOC_FAILED" in text or "can't allocate memory" in text)
    )


def device_name(where: torch.device) -> str:
    """What the device calls itself, and how many jobs share it: ``NVIDIA L4 / 2``."""
    if where.type != "cuda":
        return "cpu"
    shared = gpu_share()
    return torch.cuda.get_device_name(where) + (f" / {shared}" if shared > 1 else "")


def take_share() -> None:
    """Take no more of a GPU's memory than this process's share: what needs more runs out of it."""
    shared = gpu_share()
    if shared > 1 and torch.cuda.is_available():
        whole = torch.cuda.get_device_properties(0).total_memory
        # CUDA's own memory per process is not counted by torch.
        torch.cuda.set_per_process_memory_fraction(1 / shared - CONTEXT / whole)


def _shape(model: Heads, do: str) -> dict[str, Any]:
    """What decides how much memory an example takes, but for its length."""
    config = model.encoder.config
    return {
        "do": do,
        "model": {name: getattr(config, name, None) for name in SIZES},
        "kinds": sorted({head.kind for head in model.heads}),
        "precision": forward.precision(model.encoder.device),
    }


def _folder(shape: Mapping[str, Any]) -> str:
    return f"limits/{digest(dict(shape))}"


def _slug(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
