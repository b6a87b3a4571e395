"""A small world: one tokenizer, one random encoder, tasks whose rows are made here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeper.jobs import Clock, JobSpec, Outcome, Progress
from sweeper.store.folder import Folder
from sweeper.tasks import encoding, tokenizers
from sweeper.tasks.card import Card
from sweeper.tasks.kinds import Encoded
from sweeper.training import jobs, references
from sweeper.training.loop import Pace

WORDS = ["ana", "bela", "cora", "dune", "elmo", "fara", "gilo", "hune", "ilma", "jora"]

TRAINING: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch": 4,
    "epochs": 2,
    "steps": None,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "dropout": None,
    "clip": 1.0,
    "max_length": 32,
    "group_by_length": True,
    "examples": None,
    "mask_probability": 0.15,
    "frozen_layers": None,
}

NEVER = Pace(progress=1e9, resume=1e9)
ALWAYS = Pace(progress=0.0, resume=1e9)


def card(name: str, kind: str, labels: tuple[str, ...] = (), **more: Any) -> Card:
    """A card that nothing reads but the jobs."""
    splits = {split: {"languages": ["en", "de"]} for split in ("train", "dev", "test")}
    data = {"name": name, "title": name, "kind": kind, "licence": "none", "labels": labels, **more}
    sources = {"synthetic": {"generator": "none"}}
    return Card.model_validate_json(json.dumps({**data, "splits": splits, "sources": sources}))


NLI = card("nli", "classification", ("yes", "no"))
NER = card("ner", "token_classification", ("O", "B-X", "I-X"))
TEXT = card("text", "masked_lm")
PAIRS = card("pairs", "sentence_retrieval")
SPANS = card("spans", "span_extraction", options={"doc_stride": 6, "n_best": 5})
CHOICE = card("choice", "multiple_choice", ("0", "1", "2"))
MINED = card("mined", "bitext_mining")
ANSWERS = card("answers", "answer_retrieval", options={"cutoff": 3})
TRAINED = (NLI, NER, TEXT, SPANS, CHOICE)


def rows(task: Card, count: int, shift: int = 0) -> list[dict[str, Any]]:
    """``count`` rows of a learnable task, of different lengths."""
    made = []
    for number in range(shift, shift + count):
        words = [WORDS[(number * 7 + i * i) % len(WORDS)] for i in range(2 + number % 9)]
        row: dict[str, Any] = {"id": str(number), "text": " ".join(words)}
        row["label"] = "yes" if words[0] < "f" else "no"
        row["pair"] = f"{row['text']} {number}"
        row["tokens"] = words
        row["tags"] = ["B-X" if word == "ana" else "O" for word in words]
        made.append({"id": row["id"], **fields(task.kind, number, words, row)})
    return made


def fields(kind: str, number: int, words: list[str], row: dict[str, Any]) -> dict[str, Any]:
    """What a row has in a task of ``kind``."""
    if kind == "span_extraction":
        at = number % len(words)
        start = len(" ".join(words[:at])) + (at > 0)
        answer = {"text": words[at], "answer_start": start}
        return {"question": f"{words[0]} {number}", "context": row["text"], "answers": [answer]}
    if kind == "multiple_choice":
        choices = [words[(number + i) % len(words)] for i in range(3)]
        return {"prompt": f"{number} {words[0]}", "choices": choices, "label": str(number % 3)}
    if kind == "bitext_mining":
        side = number % 2
        partner = str(number + 1) if not side and number % 3 else ""
        return {"text": f"{row['text']} {number // 2}", "side": side, "partner": partner}
    if kind == "answer_retrieval":
        role = ("question", "candidate")[number % 2]
        key = str(number // 2)
        return {"text": f"{row['text']} {key}", "role": role, "keys": [key]}
    names = {
        "classification": ("text", "label"),
        "token_classification": ("tokens", "tags"),
        "masked_lm": ("text",),
        "sentence_retrieval": ("text", "pair"),
    }[kind]
    return {name: row[name] for name in names}


class World(Folder):
    """A store-like folder with a tokenizer, an encoder and prepared units."""

    def __init__(self, root: Path, tokenizer: Any) -> None:
        super().__init__(root)
        self.tokenizer = tokenizer

    def unit(self, task: Card, name: str, data: list[dict[str, Any]], length: int = 32) -> str:
        """Prepare rows once; the reference that job inputs bear."""
        reference = f"units/{task.name}/{name}"
        folder = self.path(reference)
        if not folder.exists():
            encoding.prepare_unit(task, "train", "en", data, self.tokenizer, length, folder)
        return reference

    def table(self, reference: str) -> Encoded:
        """The tables of a prepared unit."""
        return encoding.open_unit(self.path(reference))

    def training(self, *tasks: Card, count: int = 22, **changes: Any) -> dict[str, Any]:
        """The inputs of a train job."""
        sampler = changes.pop("sampler", {"name": "proportional", "temperature": None})
        return {
            "parent": changes.pop("parent", {"path": "encoder"}),
            "tokenizer": {"path": "tokenizer"},
            "tasks": [
                {
                    "card": task.model_dump(mode="json"),
                    "data": [self.unit(task, f"train-{count}", rows(task, count))],
                }
                for task in tasks
            ],
            "sampler": sampler,
            "rng": changes.pop("rng", 7),
            "training": {**TRAINING, **changes},
        }

    def tuning(self, task: Card, *, keep: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
        """The inputs of a tune job with two selection splits."""
        dev = {
            f"{task.name}/dev/{language}": {
                "card": task.model_dump(mode="json"),
                "data": self.unit(task, f"dev-{language}", rows(task, 13, shift)),
            }
            for language, shift in (("en", 100), ("de", 200))
        }
        return {**self.training(task, **changes), "selections": dev, "keep": keep}

    def spec(self, kind: str, inputs: dict[str, Any], **more: Any) -> JobSpec:
        """An attempt at a job."""
        plain = json.loads(json.dumps(inputs))
        blank = JobSpec(
            key="job",
            kind=kind,
            address="a" * 32,
            attempt="one",
            study="s",
            units={},
            inputs=plain,
        )
        return replace(blank, **more)

    def start(
        self, spec: JobSpec, folder: str, pace: Pace | None = None
    ) -> Iterator[Progress | Outcome]:
        """Run an attempt; its last item is the outcome."""
        paced = {"pace": pace} if pace and spec.kind in ("train", "tune") else {}
        handle: Callable[..., references.Run] = jobs.handler(spec.kind)
        outcome = yield from handle(spec, self, self.path(folder), Clock(), **paced)
        yield outcome

    def run(self, spec: JobSpec, folder: str, pace: Pace = NEVER) -> Outcome:
        """Run an attempt to its end."""
        *_, outcome = self.start(spec, folder, pace)
        assert isinstance(outcome, Outcome)
        return outcome

    def stop(self, spec: JobSpec, step: int, phase: str = "train") -> None:
        """Start an attempt and close it at its first progress at or after ``step``."""
        attempt = self.start(spec, f"stopped-{step}", ALWAYS)
        for progress in attempt:
            assert isinstance(progress, Progress), f"{spec.key} ended before step {step}"
            if progress.phase == phase and progress.step >= step:
                break
        attempt.close()  # type: ignore[attr-defined]  # a generator


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained tokenizer, once for all tests."""
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [row["pair"] for row in rows(PAIRS, 60)]
    tokenizers.train(iter(texts), 80, folder)
    return folder


@pytest.fixture
def world(tmp_path: Path, tokenizer_folder: Path) -> World:
    """A folder with the tokenizer and a random encoder with dropout."""
    (tmp_path / "tokenizer").symlink_to(tokenizer_folder)
    tokenizer = tokenizers.load(tokenizer_folder)
    encoder(tmp_path / "encoder", len(tokenizer))
    return World(tmp_path, tokenizer)


def encoder(folder: Path, vocabulary: int, seed: int = 0, **changes: Any) -> None:
    """Save a random XLM-R encoder."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 66,
        "type_vocab_size": 1,
        "initializer_range": 0.2,  # learns in a few steps
    }
    torch.manual_seed(seed)
    XLMRobertaModel(XLMRobertaConfig(**sizes, **changes)).save_pretrained(folder)


def score(
    world: World, task: Card, checkpoint: str, units: dict[str, str], *wanted: str, **more: Any
) -> Any:
    """The outcome of scoring the ``wanted`` units; others stand beside them. Default: all."""
    inputs = {
        "checkpoint": {"path": checkpoint},
        "tokenizer": {"path": "tokenizer"},
        "card": task.model_dump(mode="json"),
        "data": units,
        "languages": {name: name.split("/")[1] for name in units},
        "representation": None,
        **more,
    }
    spec = world.spec("score", inputs, units=dict.fromkeys(wanted, "x"))
    return world.run(spec, "scores")
