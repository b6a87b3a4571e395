"""The job handlers: what a worker does for each kind of job.

A handler is a generator: it yields `Progress` and returns an `Outcome`. What it makes lies in the
attempt's own folder; committing it is the caller's. Whatever goes wrong is raised, but a training
that diverges is an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from sweeper.errors import DataError, EngineError, ModelError, suggest
from sweeper.jobs import KINDS, Clock, Interrupted, JobSpec, Outcome, Progress
from sweeper.tasks import kinds
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Unit
from sweeper.training import checkpoints, forward, scoring
from sweeper.training import kinds as torch_kinds
from sweeper.training.averaging import AVERAGED, RunningMean
from sweeper.training.batches import draw
from sweeper.training.loop import Pace, Task, Trainer
from sweeper.training.memory import Limits
from sweeper.training.models import Head, Heads, build, freeze, load
from sweeper.training.prepare import prepare
from sweeper.training.references import (
    Files,
    Run,
    card_of,
    check_lengths,
    head_of,
    points_of,
    source_of,
    tokenizer_of,
    unit_of,
)
from sweeper.training.resume import ResumePoints
from sweeper.training.retrieval import REFERENCE, Representation
from sweeper.training.schedule import Schedule
from sweeper.training.selection import BestEpochs, Selection, checkpoint, values

Handler: TypeAlias = Callable[[JobSpec, Files, Path, Clock], Run]

PACE = Pace()

LAST = "last"

BESIDE = "@14/24"
"""What the metrics of `sweeper.training.retrieval.REFERENCE` end in."""


def handler(kind: str) -> Handler:
    """The handler of jobs of ``kind``: called with (spec, files, attempt folder, clock).

    Raises:
        EngineError: there is no such kind.
    """
    handlers: dict[str, Handler] = {
        "prepare": prepare,
        "train": train,
        "tune": tune,
        "score": score,
    }
    if kind not in handlers:
        raise EngineError(f"There is no job kind {kind!r}.{suggest(kind, KINDS)}")
    return handlers[kind]


# ---- train and tune ----------------------------------------------------------------------------


def train(spec: JobSpec, files: Files, folder: Path, clock: Clock, *, pace: Pace = PACE) -> Run:
    """Train a stage and write ``folder/checkpoint``; closing it writes a resume point."""
    yield Progress("load", message="the model and its data")
    with clock("setup"):
        trainer, tokenizer = _trainer(spec, files, clock)
    trouble = yield from _run(trainer, points_of(spec, files), clock, pace)
    if trouble is None:
        with clock("save"):
            checkpoints.save(trainer.model, tokenizer, folder / "checkpoint")
    return _outcome(trainer, trouble)


def tune(spec: JobSpec, files: Files, folder: Path, clock: Clock, *, pace: Pace = PACE) -> Run:
    """Train a trial, evaluate every epoch, and write ``folder/epoch=<k>`` per best epoch.

    Where the last epoch is to be kept it is another such folder (or the same), and the mean of
    all epochs is ``folder/averaged``.
    """
    if len(spec.inputs["tasks"]) != 1:
        raise ModelError(
            f"A tune job trains one task, {spec.key} has {len(spec.inputs['tasks'])}. Mix tasks "
            "in an intermediate's stage."
        )
    yield Progress("load", message="the model and its data")
    with clock("setup"):
        trainer, tokenizer = _trainer(spec, files, clock)
        runner = scoring.Runner(tokenizer, trainer.where, Limits(files.names), pace.progress)
    with clock("data"):
        selections = {
            name: Selection(card_of(one["card"]), *unit_of(one["data"], files))
            for name, one in spec.inputs["selections"].items()
        }
        mean = RunningMean() if AVERAGED in spec.inputs["keep"] else None
        best = BestEpochs(
            trainer.model.heads[0], selections, runner, told=bool(spec.pruned), mean=mean
        )
    trouble = yield from _run(trainer, points_of(spec, files), clock, pace, best)
    outcome = _outcome(trainer, trouble)
    outcome.values = values(trainer.state.curve)
    if trouble is not None:
        return outcome
    outcome.selections = {
        name: {**record, "checkpoint": checkpoint(record["epoch"])}
        for name, record in best.best.items()
    }
    outcome.kept = dict(_kept(spec.inputs["keep"], trainer, best))
    with clock("save"):
        last = trainer.state.epoch
        if LAST in outcome.kept and last not in best.states:  # the model still has these weights
            checkpoints.save(trainer.model, tokenizer, folder / checkpoint(last))
        for epoch, state in sorted(best.states.items()):
            checkpoints.put(trainer.model, state)
            checkpoints.save(trainer.model, tokenizer, folder / checkpoint(epoch))
        if best.mean:
            checkpoints.put(trainer.model, best.mean.tensors)
            checkpoints.save(trainer.model, tokenizer, folder / AVERAGED)
    return outcome


def _kept(
    keep: Sequence[str], trainer: Trainer, best: BestEpochs
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is kept beside the best epochs, and what it was worth on the selection splits."""
    if LAST in keep:
        epoch, (*_, row) = trainer.state.epoch, trainer.state.curve
        yield (
            LAST,
            {
                "epoch": epoch,
                "checkpoint": checkpoint(epoch),
                "selections": row["selections"],
            },
        )
    if best.mean:
        yield (
            AVERAGED,
            {
                "epochs": best.mean.count,
                "checkpoint": AVERAGED,
                "selections": best.averaged,
            },
        )


def _trainer(spec: JobSpec, files: Files, clock: Clock) -> tuple[Trainer, Any]:
    inputs = spec.inputs
    settings = inputs["training"]
    cards = [card_of(task["card"]) for task in inputs["tasks"]]
    heads = [head_of(card) for card in cards]
    for head in heads:
        torch_kinds.trained(head)
    tokenizer = tokenizer_of(inputs["tokenizer"], files)
    source = source_of(inputs["parent"], files)
    model = build(source, heads, tokenizer, inputs["rng"], settings["dropout"])
    if settings["frozen_layers"] is not None:
        freeze(model, settings["frozen_layers"])
    model.to(forward.device())
    with clock("data"):
        tasks = [
            _task(head, task["data"], files, model, settings["examples"], inputs["rng"])
            for head, task in zip(heads, inputs["tasks"], strict=True)
        ]
    sizes = [len(task.rows) for task in tasks]
    schedule = Schedule(sizes, inputs["sampler"], settings, inputs["rng"])
    limit = Limits(files.names).training(model, settings)
    trainer = Trainer(model, tasks, schedule, settings, tokenizer, inputs["rng"], limit)
    return trainer, tokenizer


def _task(
    head: Head, data: list[str], files: Files, model: Heads, examples: int | None, rng: int
) -> Task:
    features = torch_kinds.get(head.kind).rows([unit_of(one, files)[0] for one in data])
    rows = draw(features, examples, rng)
    if not len(rows):
        raise DataError(f"{head.task} has no training examples in {data}. Check its train split.")
    check_lengths(head.task, int(features.lengths.max()), model)
    return Task(features, rows)


def _run(
    trainer: Trainer,
    points: ResumePoints,
    clock: Clock,
    pace: Pace,
    end: BestEpochs | None = None,
) -> Generator[Progress, None, str | None]:
    """Train; returns why it diverged, or None. An interruption says how far it was."""
    try:
        return (yield from trainer.run(points, clock, pace, end))
    except Interrupted as interruption:
        interruption.reached = _outcome(trainer, None)
        raise


def _outcome(trainer: Trainer, trouble: str | None) -> Outcome:
    state = trainer.state
    return Outcome(
        status="done" if trouble is None else "diverged",
        message=trouble or "",
        steps=state.step,
        examples_seen=state.seen,
        loss=state.loss,
        curve=state.curve,
        micro_batch=size if (size := trainer.limit.size) < trainer.settings["batch"] else None,
    )


# ---- score -------------------------------------------------------------------------------------


def score(spec: JobSpec, files: Files, folder: Path, clock: Clock) -> Run:
    """Score a checkpoint, zero-shot, on all units that the store lacks, in one stream.

    The inputs may have more units than are asked for: those without which the others cannot be
    scored (see `sweeper.tasks.kinds.Kind.companions`) are run too, and no rows are made of them.
    """
    inputs = spec.inputs
    card = card_of(inputs["card"])
    yield Progress("load", message="the checkpoint and its data")
    with clock("setup"):
        tokenizer = tokenizer_of(inputs["tokenizer"], files)
        model = load(source_of(inputs["checkpoint"], files), head_of(card), tokenizer)
        where = forward.device()
        model.to(where)
        how = Representation(**(inputs.get("representation") or {}))
        # A layer and a pooling are a choice: what is comparable everywhere stands beside it.
        beside = REFERENCE if torch_kinds.get(card.kind).bare and how != REFERENCE else None
        runner = scoring.Runner(
            tokenizer, where, Limits(files.names), representation=how, beside=beside
        )
    wanted = [name for name in inputs["data"] if not spec.units or name in spec.units]
    with clock("data"):
        units = {
            name: unit_of(inputs["data"][name], files) for name in _needed(card, inputs, wanted)
        }
        for name, (features, _) in units.items():
            lengths = torch_kinds.get(card.kind).rows([features]).lengths
            check_lengths(f"{card.name}/{name}", int(lengths.max(initial=0)), model)
    outcome = Outcome()
    with clock("score"):
        clock.batch()
        tables = {name: features for name, (features, _) in units.items()}
        scored = yield from scoring.run(model, tables, runner)
        outputs = {name: one.outputs for name, one in scored.items()}
        found = _evaluate(card, inputs, units, outputs)
        for name in wanted:
            place = _place(inputs, name)
            outcome.scores += _scores(place, found[name])
            outcome.examples += _examples(place, units[name][1], found[name])
        if beside is not None:
            others = {name: one.beside or [] for name, one in scored.items()}
            found = _evaluate(card, inputs, units, others)
            for name in wanted:
                rows = _scores(_place(inputs, name), found[name], BESIDE)
                outcome.scores += [{**row, "representation": asdict(beside)} for row in rows]
    outcome.steps = len(wanted)
    outcome.examples_seen = sum(examples.num_rows for _, examples in units.values())
    return outcome


def _needed(card: Card, inputs: Mapping[str, Any], wanted: list[str]) -> list[str]:
    """The wanted units and those without which they cannot be scored; `DataError` if not given."""
    needed = set(wanted)
    for name in wanted:
        split, language = name.split("/")[0], inputs["languages"][name]
        for other in kinds.get(card.kind).companions(card, split, language):
            needed.add("/".join(other))
            if "/".join(other) not in inputs["data"]:
                raise DataError(
                    f"{card.name}/{name} cannot be scored without {card.name}/{'/'.join(other)}, "
                    "which the job was not given. Add its split and language to the target."
                )
    # By name, so that a pool of candidates has one order, whatever the store lacks.
    return sorted(needed)


def _evaluate(
    card: Card,
    inputs: Mapping[str, Any],
    units: Mapping[str, tuple[pa.Table, pa.Table]],
    outputs: Mapping[str, list[Any]],
) -> dict[str, kinds.Evaluation]:
    said = {
        name: Unit(
            name.split("/")[0], inputs["languages"][name], examples, features, outputs[name]
        )
        for name, (features, examples) in units.items()
    }
    return kinds.get(card.kind).evaluate_units(card, said)


def _place(inputs: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """The columns that say which unit a row is about."""
    return {
        "unit": unit,
        "split": unit.split("/")[0],
        "language": inputs["languages"][unit],
    }


def _scores(
    place: Mapping[str, Any], evaluation: kinds.Evaluation, suffix: str = ""
) -> list[dict[str, Any]]:
    """One unit's rows for the store's table scores."""
    count = sum(_asked(evaluation))
    return [
        {**place, "metric": f"{metric}{suffix}", "value": float(value), "n": count}
        for metric, value in evaluation.metrics.items()
    ]


def _examples(
    place: Mapping[str, Any], examples: pa.Table, evaluation: kinds.Evaluation
) -> list[dict[str, Any]]:
    """One unit's rows for the store's table examples: of what was asked, not of candidates."""
    columns = zip(
        examples["id"].to_pylist(),
        examples["gold"].to_pylist(),
        evaluation.predicted,
        evaluation.correct,
        evaluation.score,
        evaluation.ranking or [None] * examples.num_rows,
        strict=True,
    )
    names = ("id", "gold", "predicted", "correct", "score", "ranking")
    return [
        {**place, **dict(zip(names, row, strict=True))}
        for row, asked in zip(columns, _asked(evaluation), strict=True)
        if asked
    ]


def _asked(evaluation: kinds.Evaluation) -> list[bool]:
    """Which examples are scored: all, unless right and wrong are known of some only."""
    known = [right is not None for right in evaluation.correct]
    return known if any(known) else [bool(evaluation.metrics)] * len(known)
