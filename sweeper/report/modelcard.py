"""The model card of an exported checkpoint: what it is, whence, how chosen, and what it scored."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sweeper
from sweeper.analysis.best import Best
from sweeper.analysis.columns import selection_rule
from sweeper.analysis.view import Part, View
from sweeper.graph import Cell
from sweeper.report.cells import places
from sweeper.report.lineage import Base, Data, Lineage, Step
from sweeper.report.markdown import markdown_text, pipes
from sweeper.report.values import readable
from sweeper.study import CONTROL
from sweeper.tasks import kinds

if TYPE_CHECKING:
    import pandas as pd

_HEADS = {
    "SequenceClassification": "text-classification",
    "TokenClassification": "token-classification",
    "QuestionAnswering": "question-answering",
    "MultipleChoice": "multiple-choice",
    "MaskedLM": "fill-mask",
}
"""What stands after "For" in the name of an architecture -> the hub's name of the task."""

_LAYERED = re.compile(r"@\d+/\d+$")
"""Metrics of retrieval at another depth than the target's."""

_USES = {"trained on": "training", "selected on": "selection", "scored on": "scores"}


def model_card(
    view: View, found: Best, cell: Cell, origin: Lineage, config: Mapping[str, Any]
) -> str:
    """The README.md of a checkpoint: the hub's metadata, then text.

    Args:
        view: The study.
        found: The checkpoint, and why it was chosen.
        cell: Its cell.
        origin: Its lineage.
        config: Its ``config.json``.
    """
    parts = [part for part in view.parts if part.job == cell.score]
    scores = view.scores(parts, "all")
    scores = scores[~scores["metric"].str.contains(_LAYERED)]
    sections = {
        "Use": _use(view, found, config),
        "How it was chosen": _chosen(view, found),
        "Scores": _scores(view, found, parts, scores),
        "Lineage": _lineage(origin),
        "Data and licences": _licences(origin),
    }
    lines = ["---", _metadata(view, found, origin, config, scores).strip(), "---", ""]
    lines += [f"# {_title(view, found)}", "", *_opening(view, found, origin), ""]
    for heading, body in sections.items():
        lines += [f"## {heading}", "", *body, ""]
    return "\n".join(lines)


def _title(view: View, found: Best) -> str:
    title = view.plan.cards[found.target].title
    if found.intermediate == CONTROL:
        return f"{title}, without intermediate training"
    return f"{title}, after {found.intermediate}"


def _head(view: View, found: Best, config: Mapping[str, Any]) -> str:
    """What the checkpoint is loaded for: "TokenClassification"; empty for its encoder alone."""
    if not kinds.get(view.plan.cards[found.target].kind).needs_training:
        return ""
    (name,) = config["architectures"]
    return str(name).partition("For")[2]


def _opening(view: View, found: Best, origin: Lineage) -> list[str]:
    study = view.plan.study
    steps = [" + ".join(step.tasks) for step in origin.steps if step.what != "base"]
    trained = f", trained on {', then '.join(steps)}" if steps else ""
    base = "An encoder made from scratch" if origin.base.scratch else origin.base.name
    rows, seeds = len(study.intermediates), len(study.seeds)
    return [
        f"{markdown_text(base + trained)}. One checkpoint of the sweep `{study.name}` of {rows} "
        f"intermediate training{'s' if rows > 1 else ''} and none, {seeds} "
        f"seed{'s' if seeds > 1 else ''} each; exported by sweeper {sweeper.__version__}."
    ]


# ---- the hub's metadata -----------------------------------------------------------------------


def _metadata(
    view: View,
    found: Best,
    origin: Lineage,
    config: Mapping[str, Any],
    scores: pd.DataFrame,
) -> str:
    """YAML as the hub reads it. It names no licence: those of the data are for people to weigh."""
    from huggingface_hub import EvalResult, ModelCardData

    head = _head(view, found, config)
    tag = _HEADS.get(head, "feature-extraction")
    card = view.plan.cards[found.target]
    results = [
        EvalResult(
            task_type=tag,
            dataset_type=card.name,
            dataset_name=card.title,
            dataset_config=row["language"],
            dataset_split=row["split"],
            metric_type=row["metric"],
            metric_value=round(float(row["value"]), 4),
        )
        for row in scores[scores["main"].astype(bool)].to_dict("records")
    ]
    hub = sorted({name for data in origin.data for name in data.datasets})
    made = ModelCardData(
        language=sorted({code for data in origin.data for code in data.languages}),
        base_model=origin.base.name if origin.base.hub else None,
        library_name="transformers",
        pipeline_tag=tag,
        tags=["sweeper", "cross-lingual-transfer"],
        datasets=hub or None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=f"{found.target}-{found.intermediate}" if results else None,
        eval_results=results or None,
    )
    return str(made.to_yaml())


# ---- sections ---------------------------------------------------------------------------------


def _use(view: View, found: Best, config: Mapping[str, Any]) -> list[str]:
    head = _head(view, found, config)
    name = f"AutoModelFor{head}" if head else "AutoModel"
    said = [
        "```python",
        f"from transformers import {name}, AutoTokenizer",
        "",
        'place = "."  # this folder, or its name on the hub',
        f"model = {name}.from_pretrained(place)",
        "tokenizer = AutoTokenizer.from_pretrained(place)",
        "```",
    ]
    if not head:
        how = view.plan.targets[found.target].representation
        depth = f"at {how.layer:.0%} of the depth with {how.pooling} pooling"
        said += ["", f"Sentences are compared by their vectors {depth}."]
    return said


def _chosen(view: View, found: Best) -> list[str]:
    rule = selection_rule(view, found.target)
    first = "" if rule.startswith("no ") else "Rule: "
    return [f"{first}{markdown_text(rule)}.", "", markdown_text(found.why)]


def _scores(view: View, found: Best, parts: Sequence[Part], scores: pd.DataFrame) -> list[str]:
    if scores.empty:
        return ["Not scored yet when this was exported."]
    shown = view.metric(found.target)
    metrics = [shown, *sorted(set(scores["metric"]) - {shown})]
    digits = places("nats" if shown == "loss" else "percent")
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in scores.to_dict("records"):
        values = rows.setdefault((row["split"], row["language"]), {})
        values |= {row["metric"]: f"{row['value']:.{digits}f}"}
        values |= {"n": str(row["n"]), "zero-shot": "yes" if row["zero_shot"] else "no"}
        values["shares"] = row["overlap"]
    last = ["zero-shot", *(["shares"] if any(v["shares"] for v in rows.values()) else [])]
    body = [
        [*place, *(markdown_text(values.get(name, "")) for name in (*metrics, "n", *last))]
        for place, values in rows.items()
    ]
    right = [False, False, *[True] * (len(metrics) + 1), *[False] * len(last)]
    table = pipes(
        ["split", "language", *map(markdown_text, metrics), "examples", *last], body, right
    )
    unit = "" if shown == "loss" else ", in percent"
    lacking = [f"{p.split}/{p.language}" for p in parts if (p.split, p.language) not in rows]
    below = [f"Not scored yet: {', '.join(lacking)}."] if lacking else []
    below += [_spread(view, found, view.plan.targets[found.target].splits[0], digits)]
    return [f"Of this one checkpoint{unit}.", "", *table, "", " ".join(filter(None, below))]


def _spread(view: View, found: Best, split: str, digits: int) -> str:
    """How the row's seeds differ, so that nobody takes the best of them for what to expect."""
    parts = [
        part
        for part in view.chosen(target=found.target, intermediate=found.intermediate, split=split)
        if part.zero_shot
    ]
    wanted = {part.language for part in parts}
    means = {}
    for seed, rows in view.scores(parts).groupby("seed"):
        if set(rows["language"]) == wanted:
            means[seed] = statistics.fmean(rows["value"])
    if len(means) < 2:
        return ""
    said = ", ".join(f"seed {seed} {value:.{digits}f}" for seed, value in means.items())
    return (
        f"Mean over the {len(wanted)} zero-shot languages of {split}, by seed of the row: {said}. "
        f"This is seed {found.seed}."
    )


def _lineage(origin: Lineage) -> Iterator[str]:
    yield f"1. {_base(origin.base)}"
    for number, step in enumerate(origin.steps, 2):
        yield f"{number}. {_step(step)}"
    versions = origin.steps[-1].versions if origin.steps else {}
    if versions:
        yield ""
        yield f"Made with {', '.join(f'{name} {number}' for name, number in versions.items())}."


def _base(base: Base) -> str:
    if base.scratch is not None:
        sizes = ", ".join(f"{name} {value}" for name, value in base.scratch.items())
        return f"An encoder made from scratch: {markdown_text(sizes)}."
    if base.hub:
        return f"The hub's {base.name} at {base.revision}."
    return f"A model given as a folder, {markdown_text(base.name)}."


def _step(step: Step) -> str:
    names = " + ".join(f"{task} ({' '.join(codes)})" for task, codes in step.languages.items())
    what = {"base": "Pretrained on", "intermediate": "Trained on", "target": "Fine-tuned on"}
    settings = ", ".join(
        f"{name} {_setting(value)}" for name, value in step.training.items() if value is not None
    )
    if step.found:
        settings += f"; by a search of its own: {', '.join(step.found)}"
    done = f", {step.steps:,} steps, {step.examples:,} examples" if step.steps else ""
    on = f", on {step.device}" if step.device else ""
    job = f"`{step.job}`, address `{step.address}`, attempt `{step.attempt}`"
    return f"{what[step.what]} {markdown_text(names)}{done}{on}: {markdown_text(settings)}. {job}."


def _setting(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else readable(value)


def _licences(origin: Lineage) -> list[str]:
    header = ["data", "split", "used for", "languages", "licence", "from"]
    return [
        *pipes(header, map(_datum, origin.data), [False] * len(header)),
        "",
        "No licence is set for the weights. The licences are those that the task cards state; "
        "that of the base model comes on top.",
    ]


def _datum(data: Data) -> list[str]:
    limit = f", the first {data.limit:,} of a language" if data.limit else ""
    said = [
        f"{data.title} ({data.task})",
        data.split,
        f"{_USES[data.use]}{limit}",
        " ".join(data.languages),
        data.licence,
        "; ".join(data.sources),
    ]
    return [markdown_text(one) for one in said]
