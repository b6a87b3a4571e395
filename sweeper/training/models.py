"""Models: one pretrained encoder under one or several new heads.

Between stages only the encoder passes. Hugging Face's ``from_pretrained`` would load a parent's
head silently where it fits and raise where it does not, so an encoder is always loaded alone, in
float32, and heads are made around it.

The pooler belongs to the encoder. It passes on from a parent that has one: a stage of multiple
choice, a mixture with such a task, a published model, and in BERT's family classification. Where a
head needs a pooler and the parent has none, since its own head needed none, the pooler is new, and
like all new weights depends on the seed only. Tasks of a mixture share it with the encoder; heads
that do not use it are not touched by it. A stage saves a pooler only if one of its heads uses it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel, XLMRobertaConfig

from sweeper.errors import ModelError
from sweeper.training import kinds, seeds
from sweeper.training.kinds import Head as Head


@dataclass(frozen=True)
class Source:
    """Where weights are: a folder or a hub id with its revision, or ``scratch`` sizes."""

    name: str = ""
    revision: str | None = None
    scratch: dict[str, int] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that pin the revision, and refuse code that comes with a model."""
        pinned = {"revision": self.revision} if self.revision else {}
        return {**pinned, "trust_remote_code": False}


class Heads(nn.Module):
    """Models of one or several tasks around one shared encoder, in the order of ``heads``."""

    def __init__(
        self, encoder: PreTrainedModel, heads: Sequence[Head], models: Sequence[PreTrainedModel]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.models = nn.ModuleList(models)
        self.heads = tuple(heads)

    def model(self, index: int) -> PreTrainedModel:
        """The model of the task number ``index``."""
        return self.models[index]

    @property
    def longest(self) -> int:
        """The longest input, in subwords, that the encoder's positions allow."""
        config = self.encoder.config
        table = getattr(getattr(self.encoder, "embeddings", None), "position_embeddings", None)
        # RoBERTa counts positions from after the padding index; BERT counts from zero.
        padding = getattr(table, "padding_idx", None)
        return int(config.max_position_embeddings) - (0 if padding is None else padding + 1)


def build(
    source: Source, heads: Sequence[Head], tokenizer: Any, rng: int, dropout: float | None = None
) -> Heads:
    """The encoder of ``source`` under a new head per task, float32, on the CPU.

    Head and scratch weights depend on ``rng`` and the task's name only. ``dropout`` overrides
    the model's rates for this training; the saved configuration keeps the model's own.

    Raises:
        ModelError: an unknown kind; weights that are missing, unreadable or do not fit the
            tokenizer.
    """
    with quiet():
        config = _config(source, tokenizer)
        shells = [_shell(config, head) for head in heads]
        pooled = any(getattr(shell.base_model, "pooler", None) is not None for shell in shells)
        encoder = _encoder(source, config, pooled, rng)
        models = [
            _with_head(shell, encoder, seeds.seed(rng, seeds.INIT, seeds.number(head.task)))
            for head, shell in zip(heads, shells, strict=True)
        ]
    _check_vocabulary(source, encoder, tokenizer)
    whole = Heads(encoder, heads, models)
    if dropout is not None:
        _set_dropout(whole, dropout)
    return whole


def freeze(model: Heads, layers: int) -> None:
    """Keep the embeddings and the lowest ``layers`` layers of the encoder as they are.

    A masked-LM head that shares the embeddings keeps them, too.

    Raises:
        ModelError: the encoder has fewer layers, or they are not where BERT's family has them.
    """
    encoder = model.encoder
    stack = getattr(getattr(encoder, "encoder", None), "layer", None)
    if stack is None or not hasattr(encoder, "embeddings"):
        raise ModelError(
            f"`frozen_layers` knows the layers of encoders like BERT and RoBERTa; "
            f"{type(encoder).__name__} is none. Leave it out."
        )
    if layers > len(stack):
        raise ModelError(
            f"`frozen_layers` must be at most {len(stack)}, the layers of this encoder; it is "
            f"{layers}. Lower it."
        )
    for part in (encoder.embeddings, *stack[:layers]):
        part.requires_grad_(False)


def load(source: Source, head: Head, tokenizer: Any) -> Heads:
    """A trained model with its head as saved, float32; for retrieval any encoder, without pooler.

    Raises:
        ModelError: weights are missing (no such head), or its labels are not ``head.labels``.
    """
    kind = kinds.get(head.kind)
    if kind.bare:
        return build(source, [head], tokenizer, rng=0)
    with quiet():
        config = _config(source, tokenizer)
        model = _from_pretrained(_auto(kind), source, config)
    found = tuple(config.id2label[index] for index in sorted(config.id2label))
    if kind.labelled and head.labels and found != head.labels:
        raise ModelError(
            f"The checkpoint {source.name} predicts the labels {list(found)}, the task "
            f"{head.task} has {list(head.labels)}. Score it on the task that it was trained for."
        )
    _check_vocabulary(source, model, tokenizer)
    return Heads(model.base_model, [head], [model])


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and loading reports of transformers: we check what is missing."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _auto(kind: kinds.TorchKind) -> Any:
    return getattr(transformers, kind.auto)


def _config(source: Source, tokenizer: Any) -> Any:
    if source.scratch is not None:
        sizes = source.scratch
        return XLMRobertaConfig(
            vocab_size=len(tokenizer),
            num_hidden_layers=sizes["layers"],
            hidden_size=sizes["hidden"],
            num_attention_heads=sizes["heads"],
            intermediate_size=sizes["feed_forward"],
            max_position_embeddings=sizes["max_length"] + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    if source.revision is None and not Path(source.name).is_dir():
        raise ModelError(
            f"{source.name} is not a folder. Give a folder in Hugging Face format, or a hub model "
            "with its revision."
        )
    try:
        config = AutoConfig.from_pretrained(source.name, **source.arguments)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model {source.name} has no configuration that transformers "
            f"{transformers.__version__} can read without running code of its own, which sweeper "
            f"never does: {error}"
        ) from error
    # A configuration can name code of its own, or a kernel on the hub to be downloaded and run.
    vars(config).pop("auto_map", None)
    config._attn_implementation = None
    return config


def _shell(config: Any, head: Head) -> PreTrainedModel:
    """The head's model without memory: its parameters are on the ``meta`` device."""
    kind = kinds.get(head.kind)
    auto = _auto(kind)
    config = type(config).from_dict(config.to_dict())
    # The parent's labels and loss are its head's, and its head does not pass.
    kind.configure(config, head)
    config.dtype = torch.float32
    with torch.device("meta"):
        if kind.bare:
            return auto.from_config(config, **_pooling(auto, config, False))
        return auto.from_config(config)


def _pooling(auto: Any, config: Any, pooled: bool) -> dict[str, bool]:
    """The argument that leaves out the pooler, if the encoder knows it."""
    known = inspect.signature(auto._model_mapping[type(config)].__init__).parameters
    return {"add_pooling_layer": pooled} if "add_pooling_layer" in known else {}


def _encoder(source: Source, config: Any, pooled: bool, rng: int) -> PreTrainedModel:
    """The encoder alone, seeded where its weights are new (scratch, or a pooler nobody saved)."""
    config = type(config).from_dict(config.to_dict())
    config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    config.problem_type = None
    pooling = _pooling(AutoModel, config, pooled)
    with seeds.seeded(seeds.seed(rng, seeds.INIT)):
        if source.scratch is not None:
            encoder = AutoModel.from_config(config, dtype=torch.float32, **pooling)
            if pooled:  # whose draws must not change those of the layers
                plain = _encoder(source, config, False, rng)
                encoder.load_state_dict(plain.state_dict(), strict=False)
            return encoder
        return _from_pretrained(AutoModel, source, config, new="pooler.", **pooling)


def _from_pretrained(
    auto: Any, source: Source, config: Any, new: str | None = None, **more: Any
) -> PreTrainedModel:
    """``auto``'s model with every weight from ``source``; what begins with ``new`` may be new.

    transformers warns about weights that the files lack and draws them at random: here it is an
    error, since such a model would be trained and scored as if it were the one asked for.
    """
    try:
        model, info = auto.from_pretrained(
            source.name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            use_safetensors=True,  # never a pickle
            **source.arguments,
            **more,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The weights of {source.name} cannot be loaded: {error}") from error
    missing = sorted(key for key in info["missing_keys"] if not (new and key.startswith(new)))
    if missing:
        raise ModelError(
            f"The weights of {source.name} lack {len(missing)} tensors of a "
            f"{type(model).__name__}, such as {missing[0]}. Give the folder of such a model."
        )
    return model


def _with_head(shell: PreTrainedModel, encoder: PreTrainedModel, seed: int) -> PreTrainedModel:
    """``shell`` around ``encoder``, its head drawn with ``seed`` by the model's own rule.

    transformers' initialisers leave tensors alone that bear ``_is_hf_initialized``: that keeps
    the encoder's embeddings, to which a masked-LM head is tied, from being drawn anew.
    """
    if shell.base_model is shell:
        return encoder
    setattr(shell, shell.base_model_prefix, encoder)
    shell.tie_weights()
    for parameter in encoder.parameters():
        parameter._is_hf_initialized = True
    with seeds.seeded(seed), torch.no_grad():
        for name, child in shell.named_children():
            if name != shell.base_model_prefix:
                _materialise(child)
                child.apply(shell._init_weights)
    # A head's bias may be tied to a parameter that has only now been made.
    shell.tie_weights()
    empty = [name for name, parameter in shell.named_parameters() if parameter.is_meta]
    if empty:
        raise ModelError(
            f"{type(shell).__name__} keeps {empty[0]} outside encoder and head, which sweeper "
            "cannot initialise. Use an encoder of the BERT or RoBERTa families."
        )
    return shell


def _materialise(module: nn.Module) -> None:
    """Give the parameters and buffers that are on ``meta`` memory on the CPU."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.is_meta:
                setattr(part, name, nn.Parameter(torch.empty_like(parameter, device="cpu")))
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(part, name, torch.zeros_like(buffer, device="cpu"))


def _set_dropout(model: nn.Module, rate: float) -> None:
    """Set every dropout layer's rate, and the attention rates that some models keep as numbers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = rate  # type: ignore[assignment]  # a float, checked above


def _check_vocabulary(source: Source, model: PreTrainedModel, tokenizer: Any) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"The tokenizer has {len(tokenizer)} entries, the embeddings of {source.name} have "
            f"{rows}. Use the tokenizer that the model was trained with."
        )
