"""Sentence vectors: which hidden state of the bare encoder stands for a sentence, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.errors import ModelError
from sweeper.training.forward import KNOWN, Batch, encode


@dataclass(frozen=True)
class Representation:
    """Which hidden state stands for a sentence.

    Attributes:
        layer: share of the depth: 0 is the embeddings, 1 the last layer.
        pooling: ``mean`` over all subwords (<s> and </s> too) or ``cls`` (the first one).
    """

    layer: float = 1.0
    pooling: str = "mean"


REFERENCE = Representation(14 / 24, "mean")
"""What every score is reported for, beside the configured one: `hidden_states[14]` of XLM-R
Large, as jiant has it and XTREME for Tatoeba."""


def embed(encoder: PreTrainedModel, batch: Batch, how: Representation) -> Tensor:
    """The sentences' vectors, float32, length 1, shape (sentences, hidden).

    Raises:
        ModelError: an unknown pooling.
    """
    return embeddings(encoder, batch, [how])[0]


def embeddings(
    encoder: PreTrainedModel, batch: Batch, hows: Sequence[Representation]
) -> list[Tensor]:
    """`embed` for several representations, in one forward up to the deepest layer wanted."""
    depth = int(encoder.config.num_hidden_layers)
    states = _hidden_states(encoder, batch, [round(how.layer * depth) for how in hows])
    return [_pooled(state.float(), batch, how) for state, how in zip(states, hows, strict=True)]


def _pooled(hidden: Tensor, batch: Batch, how: Representation) -> Tensor:
    if how.pooling not in ("mean", "cls"):
        raise ModelError(f"There is no pooling {how.pooling!r}. Use 'mean' or 'cls'.")
    if how.pooling == "cls":
        vectors = hidden[:, 0]
    elif batch.mask is None:
        vectors = hidden.mean(1)
    else:
        mask = batch.mask.unsqueeze(-1).float()
        vectors = (hidden * mask).sum(1) / mask.sum(1)
    return functional.normalize(vectors, dim=-1)


def _hidden_states(encoder: PreTrainedModel, batch: Batch, wanted: Sequence[int]) -> list[Tensor]:
    """The hidden states after ``wanted`` layers (0: the embeddings), and no layer above them.

    Of a family that we do not know all layers are run: it may do something after the last one.
    """
    if encoder.config.model_type not in KNOWN:
        states = encode(encoder, batch, output_hidden_states=True).hidden_states
        return [states[number] for number in wanted]
    found: dict[int, Tensor] = {}

    def keep(number: int) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found[number] = output[0] if isinstance(output, tuple) else output

        return hook

    # Hooks of our own: those of transformers' output_hidden_states are installed once for all, on
    # the layers that there are at that time.
    parts = [encoder.embeddings, *encoder.encoder.layer]
    with ExitStack() as stack:
        stack.enter_context(_shortened(encoder, max(wanted)))
        for number in set(wanted):
            handle = parts[number].register_forward_hook(keep(number))
            stack.callback(handle.remove)
        encode(encoder, batch)
    return [found[number] for number in wanted]


@contextmanager
def _shortened(encoder: PreTrainedModel, layers: int) -> Iterator[None]:
    """Inside, the encoder ends after ``layers`` layers."""
    whole = encoder.encoder.layer
    encoder.encoder.layer = whole[:layers]
    try:
        yield
    finally:
        encoder.encoder.layer = whole
