"""What a job asks of its device, and how long that takes by a stated model. No data, no torch.

The model: a subword costs 2 floating-point operations per weight of the layers and pass, and as
many passes again, twice, where gradients are needed (Kaplan et al. 2020, section 2.1); attention
adds 4 · layers · hidden · length. A device does `UTILISATION` of what its maker says. No pass is
faster than its kernels can be launched, and every optimizer step moves each parameter,
its gradient and its two moments through the memory. Checkpoints are read and written at the speed
of a common disk, text is tokenised at that of one core.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from sweeper.graph import Job, Plan
from sweeper.prices import Device
from sweeper.sizes import Encoder

UTILISATION = 0.25
"""Share of the peak that training reaches: eager PyTorch, padded batches of short texts."""
LAUNCH = 250e-6
"""Seconds per layer and pass to launch its kernels, or to call its operators on a CPU."""
MOVED = 36
"""Bytes per parameter and step: weight, gradient, two moments, read and written, and clipping."""
DISK = 500e6
"""Bytes per second of checkpoints."""
TOKENISED = 200e3
"""Subwords per second of a core."""
AROUND = 0.1
"""Seconds of a job besides: opening data, writing tables, its commit."""
EVALUATED_AT_ONCE = 8192
"""Subwords of a batch that is only scored."""

_PASSES = 3
"""Forward, and backward, which is two of it."""


@dataclass(frozen=True)
class Work:
    """What a job asks for.

    Attributes:
        steps: optimizer steps.
        trained: subwords with a forward and a backward pass.
        passed: subwords with a forward pass alone.
        length: subwords of a sequence, on average.
        tokenised: subwords of text to prepare.
        checkpoints: how many are read or written.
    """

    steps: float = 0.0
    trained: float = 0.0
    passed: float = 0.0
    length: float = 1.0
    tokenised: float = 0.0
    checkpoints: float = 0.0


@dataclass(frozen=True)
class Seconds:
    """``work`` grows with the data, ``around`` is what a job takes besides."""

    work: float
    around: float


def seconds(work: Work, encoder: Encoder, device: Device) -> Seconds:
    """How long work takes by the model."""
    peak = device.teraflops * 1e12 * UTILISATION
    each = 2 * encoder.body + 4 * encoder.layers * encoder.hidden * work.length
    launching = _PASSES * encoder.layers * LAUNCH * work.steps
    training = max(_PASSES * each * work.trained / peak, launching)
    stepping = MOVED * encoder.parameters * work.steps / (device.bandwidth * 1e9)
    batches = work.passed / EVALUATED_AT_ONCE
    passing = max(each * work.passed / peak, encoder.layers * LAUNCH * batches)
    moving = work.checkpoints * 4 * encoder.parameters / DISK
    return Seconds(training + stepping + passing + work.tokenised / TOKENISED, AROUND + moving)


def work_of(planned: Plan, job: Job) -> Work:
    """What a job of a plan asks for, by what cards and study say."""
    say = {"prepare": _prepare, "train": _train, "tune": _train, "score": _score}
    return say[job.kind](planned, job)


def _prepare(planned: Plan, job: Job) -> Work:
    said = job.declared
    if said["do"] == "tokenizer":
        text = said["text"]
        rows = _rows(planned, text["task"], text["split"], text["languages"])
        return Work(tokenised=rows * _subwords(planned, text["task"], _UNCUT))
    rows = _rows(planned, said["task"], said["split"], said["languages"])
    return Work(tokenised=rows * _subwords(planned, said["task"], said["length"]))


def _train(planned: Plan, job: Job) -> Work:
    said, settings = job.declared, job.declared["training"]
    length, batch, most = settings["max_length"], settings["batch"], settings["examples"]
    rows = {
        task: _rows(planned, task, "train", planned.training_languages(task))
        for task in said["tasks"]
    }
    rows = {task: min(count, most or count) for task, count in rows.items()}
    per_epoch = sum(math.ceil(count / batch) for count in rows.values())
    steps = settings["steps"] or per_epoch * settings["epochs"]
    epochs = steps / per_epoch
    sizes = [_subwords(planned, task, length) for task in rows]
    trained = epochs * sum(map(math.prod, zip(rows.values(), sizes, strict=True)))
    sequences = sum(count * _sequences(planned, task) for task, count in rows.items())
    selected = [
        _rows(planned, task, split, (code,)) * _subwords(planned, task, length)
        for task, split, code in said.get("selections", {}).values()
    ]
    keep = said.get("keep", ())
    return Work(
        steps=steps,
        trained=trained,
        passed=(math.ceil(epochs) + ("averaged" in keep)) * sum(selected),
        length=trained / epochs / sequences,
        # It is read once, and written at the end, or for each split that selects another epoch,
        # and for what is kept beside these.
        checkpoints=bool(said["parent"]) + max(1, len(selected)) + len(keep),
    )


def _score(planned: Plan, job: Job) -> Work:
    said = job.declared
    each = _subwords(planned, job.target, said["length"])
    run = [*said["units"].values(), *said["companions"].values()]
    rows = sum(_rows(planned, job.target, split, (code,)) for split, code in run)
    length = each / _sequences(planned, job.target)
    return Work(passed=rows * each, length=length, checkpoints=1)


_UNCUT = 512
_ROWS_UNKNOWN = 10_000


def _rows(planned: Plan, task: str, split: str, codes: Iterable[str]) -> int:
    """Rows of some languages of a split: the card's counts, cut by the study's limit."""
    card, most = planned.cards[task].splits[split], planned.limit(task, split)
    counts = [card.rows_in(code) or _ROWS_UNKNOWN for code in codes]
    return sum(min(count, most or count) for count in counts)


def _subwords(planned: Plan, task: str, length: int) -> float:
    """Subwords of a row, all its sequences together, cut to what the model is given."""
    card = planned.cards[task]
    whole = length * _sequences(planned, task)
    told = card.subwords or min(whole, _SUBWORDS_UNKNOWN * _sequences(planned, task))
    # Of a long text span extraction makes several windows, and cuts nothing.
    return told if card.kind == "span_extraction" else min(told, whole)


_SUBWORDS_UNKNOWN = 64


def _sequences(planned: Plan, task: str) -> int:
    """Sequences per row: an example of multiple choice has one per choice."""
    card = planned.cards[task]
    return len(card.labels) if card.kind == "multiple_choice" else 1
