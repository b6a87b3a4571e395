"""Checkpoints: Hugging Face folders, float32, that load without sweeper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from sweeper.errors import ModelError
from sweeper.training.loop import weights
from sweeper.training.models import Head, Heads, Source, build, quiet
from sweeper.training.resume import Tensors

HEADS = "heads"
"""The folder, inside a mixture's checkpoint, with one small file per task's head."""


def save(model: Heads, tokenizer: Any, folder: Path) -> None:
    """Write ``model`` as a Hugging Face folder with its tokenizer.

    One task: `AutoModelFor…` of its kind loads the folder and predicts the same. A mixture: the
    folder is the bare encoder, and ``heads/<task>.safetensors`` hold the heads (`load_mixture`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        if len(model.heads) == 1:
            model.model(0).save_pretrained(folder)
        else:
            model.encoder.save_pretrained(folder)
            (folder / HEADS).mkdir(exist_ok=True)
            for head, tensors in _head_tensors(model).items():
                save_file(tensors, folder / HEADS / f"{head}.safetensors")
        tokenizer.save_pretrained(folder)


def load_mixture(folder: Path, heads: list[Head], tokenizer: Any) -> Heads:
    """The model of a mixture's checkpoint with the saved heads of some of its tasks.

    Raises:
        ModelError: the checkpoint has no head for one of them, or it does not fit.
    """
    model = build(Source(str(folder)), heads, tokenizer, rng=0)
    for index, head in enumerate(heads):
        path = folder / HEADS / f"{head.task}.safetensors"
        if not path.exists():
            known = sorted(file.stem for file in (folder / HEADS).glob("*.safetensors"))
            raise ModelError(
                f"The checkpoint {folder} has no head for {head.task!r}; it has {known}. "
                "Give one of its tasks."
            )
        own = dict(model.model(index).named_parameters())
        for name, tensor in load_file(path).items():
            if name not in own or own[name].shape != tensor.shape:
                raise ModelError(
                    f"The tensor {name} of {path} does not fit a head for {head.kind} with "
                    f"{len(head.labels)} labels. Give the card that it was trained with."
                )
            with torch.no_grad():
                own[name].copy_(tensor)
    return model


def put(model: Heads, tensors: Tensors) -> None:
    """Set the model's weights to those that `sweeper.training.loop.weights` gave."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _head_tensors(model: Heads) -> dict[str, Tensors]:
    """Each task's own parameters: those that are not the encoder's."""
    shared = {id(parameter) for parameter in model.encoder.parameters()}
    return {
        head.task: {
            name: parameter.detach()
            for name, parameter in model.model(index).named_parameters()
            if id(parameter) not in shared
        }
        for index, head in enumerate(model.heads)
    }


__all__ = ["HEADS", "load_mixture", "put", "save", "weights"]
