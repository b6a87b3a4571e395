"""The job handlers: what a worker does for each kind of job.

A handler is a generator: it yields `Progress` and returns an `Outcome`. What it makes lies in the
attempt's own folder; committing it is the caller's. Whatever goes wrong is raised, but a training
that diverges is an outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from sweeper.errors import DataError, EngineError, ModelError, suggest
from sweeper.jobs import KINDS, Clock, JobSpec, Outcome, Progress
from sweeper.tasks import kinds
from sweeper.training import checkpoints, forward, scoring
from sweeper.training.batches import Features, draw
from sweeper.training.loop import Pace, Task, Trainer
from sweeper.training.models import Head, Heads, build, load
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
from sweeper.training.retrieval import Representation
from sweeper.training.schedule import Schedule
from sweeper.training.selection import BestEpochs, Selection, checkpoint

Handler: TypeAlias = Callable[[JobSpec, Files, Path, Clock], Run]

PACE = Pace()


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
    trouble = yield from trainer.run(points_of(spec, files), clock, pace)
    if trouble is None:
        with clock("save"):
            checkpoints.save(trainer.model, tokenizer, folder / "checkpoint")
    return _outcome(trainer, trouble)


def tune(spec: JobSpec, files: Files, folder: Path, clock: Clock, *, pace: Pace = PACE) -> Run:
    """Train a trial, evaluate every epoch, and write ``folder/epoch=<k>`` per best epoch."""
    if len(spec.inputs["tasks"]) != 1:
        raise ModelError(
            f"A tune job trains one task, {spec.key} has {len(spec.inputs['tasks'])}. Mix tasks "
            "in an intermediate's stage."
        )
    yield Progress("load", message="the model and its data")
    with clock("setup"):
        trainer, tokenizer = _trainer(spec, files, clock)
        runner = scoring.Runner(tokenizer, trainer.where, spec.micro_batch, pace.progress)
    with clock("data"):
        selections = {
            name: Selection(card_of(one["card"]), *unit_of(one["data"], files))
            for name, one in spec.inputs["selections"].items()
        }
        best = BestEpochs(trainer.model.heads[0], selections, runner)
    trouble = yield from trainer.run(points_of(spec, files), clock, pace, best)
    outcome = _outcome(trainer, trouble)
    if trouble is not None:
        return outcome
    with clock("save"):
        for epoch, state in sorted(best.states.items()):
            checkpoints.put(trainer.model, state)
            checkpoints.save(trainer.model, tokenizer, folder / checkpoint(epoch))
    outcome.selections = {
        name: {**record, "checkpoint": checkpoint(record["epoch"])}
        for name, record in best.best.items()
    }
    return outcome


def _trainer(spec: JobSpec, files: Files, clock: Clock) -> tuple[Trainer, Any]:
    inputs = spec.inputs
    settings = inputs["training"]
    cards = [card_of(task["card"]) for task in inputs["tasks"]]
    heads = [head_of(card) for card in cards]
    for head in heads:
        if not kinds.get(head.kind).needs_training:
            raise ModelError(
                f"{head.task} is of kind {head.kind}, which has no head to train. Leave it out "
                "of the training tasks."
            )
    tokenizer = tokenizer_of(inputs["tokenizer"], files)
    source = source_of(inputs["parent"], files)
    model = build(source, heads, tokenizer, inputs["rng"], settings["dropout"])
    model.to(forward.device())
    with clock("data"):
        tasks = [
            _task(head, task["data"], files, model, settings["examples"], inputs["rng"])
            for head, task in zip(heads, inputs["tasks"], strict=True)
        ]
    sizes = [len(task.rows) for task in tasks]
    schedule = Schedule(sizes, inputs["sampler"], settings, inputs["rng"])
    trainer = Trainer(
        model, tasks, schedule, settings, tokenizer, inputs["rng"], micro=spec.micro_batch
    )
    return trainer, tokenizer


def _task(
    head: Head, data: list[str], files: Files, model: Heads, examples: int | None, rng: int
) -> Task:
    features = Features([unit_of(reference, files)[0] for reference in data])
    rows = draw(features, examples, rng)
    if not len(rows):
        raise DataError(f"{head.task} has no training examples in {data}. Check its train split.")
    check_lengths(head.task, int(features.lengths.max()), model)
    return Task(features, rows)


def _outcome(trainer: Trainer, trouble: str | None) -> Outcome:
    state = trainer.state
    return Outcome(
        status="done" if trouble is None else "diverged",
        message=trouble or "",
        steps=state.step,
        examples_seen=state.seen,
        loss=state.loss,
        curve=state.curve,
    )


# ---- score -------------------------------------------------------------------------------------


def score(spec: JobSpec, files: Files, folder: Path, clock: Clock) -> Run:
    """Score a checkpoint, zero-shot, on all units that the store lacks, in one stream."""
    inputs = spec.inputs
    card = card_of(inputs["card"])
    yield Progress("load", message="the checkpoint and its data")
    with clock("setup"):
        tokenizer = tokenizer_of(inputs["tokenizer"], files)
        model = load(source_of(inputs["checkpoint"], files), head_of(card), tokenizer)
        model.to(forward.device())
        how = Representation(**(inputs.get("representation") or {}))
        runner = scoring.Runner(tokenizer, forward.device(), spec.micro_batch, representation=how)
    with clock("data"):
        names = [name for name in inputs["data"] if not spec.units or name in spec.units]
        units = {name: unit_of(inputs["data"][name], files) for name in names}
        for name, (features, _) in units.items():
            lengths = Features([features]).lengths
            check_lengths(f"{card.name}/{name}", int(lengths.max(initial=0)), model)
    outcome = Outcome()
    with clock("score"):
        clock.batch()
        tables = {name: features for name, (features, _) in units.items()}
        scored = yield from scoring.run(model, tables, runner)
        for name, (features, examples) in units.items():
            evaluation = kinds.get(card.kind).evaluate(
                card, examples, features, scored[name].outputs
            )
            _add(outcome, name, inputs["languages"][name], examples, evaluation)
    outcome.steps = len(names)
    outcome.examples_seen = sum(examples.num_rows for _, examples in units.values())
    return outcome


def _add(
    outcome: Outcome, unit: str, language: str, examples: pa.Table, evaluation: kinds.Evaluation
) -> None:
    """One unit's rows for the store's tables scores and examples."""
    place = {"unit": unit, "split": unit.split("/")[0], "language": language}
    count = examples.num_rows
    for metric, value in evaluation.metrics.items():
        row = {**place, "metric": metric, "value": float(value), "n": count}
        outcome.scores.append(row)
    columns = zip(
        examples["id"].to_pylist(),
        examples["gold"].to_pylist(),
        evaluation.predicted,
        evaluation.correct,
        evaluation.score,
        strict=True,
    )
    names = ("id", "gold", "predicted", "correct", "score")
    outcome.examples += [{**place, **dict(zip(names, row, strict=True))} for row in columns]
