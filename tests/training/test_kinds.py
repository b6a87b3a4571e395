"""Kinds on the torch side: one module each, and known answers for the newer ones."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from sweeper.errors import ModelError
from sweeper.tasks import kinds as task_kinds
from sweeper.tasks.card import Card
from sweeper.training import forward, kinds, scoring
from sweeper.training.batches import Groups
from sweeper.training.models import Head, Source, build

from .conftest import CHOICE, PAIRS, SPANS, TRAINED, WORDS, World, card, rows, score


def head(task: Card) -> Head:
    return Head(task.name, task.kind, tuple(task.labels), dict(task.options))


# ---- one module per kind -----------------------------------------------------------------------


def test_every_kind_has_a_torch_side() -> None:
    assert kinds.names() == task_kinds.names()
    for name in kinds.names():
        trained = isinstance(kinds.get(name), kinds.Trained)
        assert trained == task_kinds.get(name).needs_training
        assert trained != kinds.get(name).bare


def test_what_has_no_head_is_not_trained() -> None:
    with pytest.raises(ModelError, match="pairs is of kind sentence_retrieval"):
        kinds.trained(Head("pairs", "sentence_retrieval"))


TASK_SIDE = """
import pyarrow as pa
from sweeper.tasks.kinds.base import Encoded, Evaluation, Kind, integers, strings, tokenized


class Rating(Kind):
    name = "rating"
    fields = ("text", "stars")
    metric = "error"
    higher_is_better = False

    def row(self, values, card):
        return {"text": values["text"], "stars": values["stars"]}

    def encode(self, rows, card, tokenizer, max_length):
        ids = tokenized(tokenizer, [row["text"] for row in rows], max_length)
        stars = integers(row["stars"] for row in rows)
        features = {"input_ids": ids, "example": integers(range(len(rows))), "stars": stars}
        gold = strings(str(row["stars"]) for row in rows)
        examples = {"id": strings(row["id"] for row in rows), "gold": gold}
        return Encoded(pa.table(features), pa.table(examples))

    def evaluate(self, card, examples, features, outputs):
        wrong = [abs(int(g) - o) for g, o in zip(examples["gold"].to_pylist(), outputs)]
        said = [f"{o:.2f}" for o in outputs]
        right = [error < 0.5 for error in wrong]
        return Evaluation({"error": sum(wrong) / len(wrong)}, said, right, wrong)


KIND = Rating()
"""

TORCH_SIDE = """
from torch.nn import functional

from sweeper.training.batches import Collated
from sweeper.training.forward import encode
from sweeper.training.kinds.base import Trained


class Rating(Trained):
    auto = "AutoModelForSequenceClassification"

    def configure(self, config, head):
        super().configure(config, head)
        config.id2label, config.label2id = {0: "stars"}, {"stars": 0}

    def collate(self, features, rows, padding):
        stars = features.column("stars")[rows]
        return Collated(features.tokens(rows, padding), features.lengths[rows], stars, len(rows))

    def loss(self, model, batch):
        return self.predict(None, model, batch)[1].sum()

    def predict(self, head, model, batch):
        said = encode(model, batch).logits[:, 0].float()
        return (said,), functional.mse_loss(said, batch.labels.float(), reduction="none")

    def outputs(self, columns, counts):
        return columns[0].tolist()


KIND = Rating()
"""


@pytest.fixture
def rating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    """A kind that two modules bring."""
    sides = ((task_kinds, "task", TASK_SIDE), (kinds, "torch", TORCH_SIDE))
    for package, name, text in sides:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "rating.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        package.names.cache_clear()
    importlib.invalidate_caches()
    yield card("stars", "rating")
    monkeypatch.undo()
    for package, _, _ in sides:
        package.names.cache_clear()
        package.get.cache_clear()


def test_two_modules_make_a_kind_that_is_tuned_and_scored(world: World, rating: Card) -> None:
    def rated(count: int, shift: int = 0) -> list[dict[str, Any]]:
        plain = rows(PAIRS, count, shift)
        return [{**row, "stars": 1 + len(row["text"].split()) // 4} for row in plain]

    one = rating.model_dump(mode="json")
    inputs = world.training(PAIRS, epochs=12, learning_rate=1e-2)
    inputs["tasks"] = [{"card": one, "data": [world.unit(rating, "train", rated(40))]}]
    dev = world.unit(rating, "dev", rated(20, 100))
    inputs["selections"] = {"stars/dev/en": {"card": one, "data": dev}}
    inputs["keep"] = []
    outcome = world.run(world.spec("tune", inputs), "trial")
    best = outcome.selections["stars/dev/en"]
    assert best["metric"] == "error"
    assert best["value"] < 0.5 < outcome.curve[0]["selections"]["stars/dev/en"]["value"]
    scored = score(world, rating, f"trial/{best['checkpoint']}", {"test/en": dev})
    assert scored.scores[0]["value"] == pytest.approx(best["value"])


# ---- scoring -----------------------------------------------------------------------------------


def overfitted(world: World, task: Card, data: list[dict[str, Any]], length: int = 32) -> Any:
    """The test score of a model on the very rows that it was trained on."""
    inputs = world.training(PAIRS, epochs=40, learning_rate=1e-2, dropout=0.0)
    unit = world.unit(task, "train", data, length=length)
    inputs["tasks"] = [{"card": task.model_dump(mode="json"), "data": [unit]}]
    assert world.run(world.spec("train", inputs), "made").status == "done"
    return score(world, task, "made/checkpoint", {"test/en": unit})


def test_a_span_model_finds_what_it_learned_in_the_right_window(world: World) -> None:
    data = []
    for number in range(20):
        words = [WORDS[(number + i * i) % 10] for i in range(8 + number % 9)]
        at = number * 5 % len(words)
        words[at] = str(number)
        start = len(" ".join(words[:at])) + (at > 0)
        answer = {"text": str(number), "answer_start": start}
        row = {"question": "ana", "context": " ".join(words), "answers": [answer]}
        data.append({"id": str(number), **row})
    outcome = overfitted(world, SPANS, data, length=14)
    features, _ = world.table("units/spans/train")
    assert features.num_rows > 30  # windows
    assert min(features["start"].to_pylist()) == 0  # some without the answer
    values = {row["metric"]: row["value"] for row in outcome.scores}
    assert values == {"exact_match": 100.0, "f1": 100.0, "mean_em_f1": 100.0}
    assert [row["predicted"] for row in outcome.examples] == [str(n) for n in range(20)]


def test_a_span_models_candidates_are_those_of_its_logits(world: World) -> None:
    unit = world.table(world.unit(SPANS, "some", rows(SPANS, 12), length=24)).features
    model = build(Source(str(world.path("encoder"))), [head(SPANS)], world.tokenizer, 1)
    runner = scoring.Runner(world.tokenizer, torch.device("cpu"))
    *_, (scored, loss) = finished(scoring.run(model, {"a": unit}, runner), "a")
    losses = []
    for row, found in zip(unit.to_pylist(), scored, strict=True):
        said = model.model(0)(torch.tensor([row["input_ids"]]))
        for logits, places, values, right in (
            (said.start_logits[0], found.start, found.start_logit, row["start"]),
            (said.end_logits[0], found.end, found.end_logit, row["end"]),
        ):
            best, order = logits.sort(descending=True)
            assert places == order[:5].tolist()
            assert values == pytest.approx(best[:5].tolist(), rel=1e-4, abs=1e-5)
            losses.append(-logits.log_softmax(0)[right].item())
        null = said.start_logits[0, 0] + said.end_logits[0, 0]
        assert found.null == pytest.approx(null.item(), rel=1e-4, abs=1e-5)
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def finished(job: Any, name: str) -> Iterator[Any]:
    while True:
        try:
            next(job)
        except StopIteration as end:
            yield end.value[name].outputs, end.value[name].loss
            return


def test_fewer_subwords_than_candidates_leave_no_padding(world: World) -> None:
    many = card("many", "span_extraction", options={"n_best": 50})
    unit = world.table(world.unit(many, "some", rows(many, 9))).features
    model = build(Source(str(world.path("encoder"))), [head(many)], world.tokenizer, 1)
    runner = scoring.Runner(world.tokenizer, torch.device("cpu"))
    *_, (scored, _) = finished(scoring.run(model, {"a": unit}, runner), "a")
    for row, found in zip(unit.to_pylist(), scored, strict=True):
        assert sorted(found.start) == sorted(found.end) == list(range(len(row["input_ids"])))


def test_multiple_choice_learns_its_examples(world: World) -> None:
    outcome = overfitted(world, CHOICE, rows(CHOICE, 20))
    assert [row["value"] for row in outcome.scores] == [100.0]
    # A head that has learned three choices chooses among two.
    two = card("two", "multiple_choice", ("0", "1"))
    data = [{**row, "choices": row["choices"][:2], "label": "1"} for row in rows(CHOICE, 8)]
    unit = world.unit(two, "test", data)
    assert len(score(world, two, "made/checkpoint", {"test/en": unit}).examples) == 8


def test_examples_of_different_numbers_of_choices_in_one_batch(world: World) -> None:
    kind = kinds.get("multiple_choice")
    assert isinstance(kind, kinds.Trained)
    model = build(Source(str(world.path("encoder"))), [head(CHOICE)], world.tokenizer, 1).eval()
    ids = [[0, 5, 2], [0, 6, 7, 8, 2], [0, 9, 2], [0, 5, 9, 6, 2], [0, 7, 7, 2]]
    table = pa.table(
        {
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "example": pa.array([0, 0, 1, 1, 1], pa.int32()),
            "label": pa.array([1, 1, 2, 2, 2], pa.int32()),
        }
    )
    groups = kind.rows([table, table])
    assert isinstance(groups, Groups)
    assert groups.counts.tolist() == [2, 3, 2, 3]
    assert groups.sizes.tolist() == [10, 15, 10, 15]
    assert groups.starts.tolist() == [0, 2, 4]
    batch = kind.collate(groups, torch.tensor([3, 0]).numpy(), 1)
    assert (len(batch), batch.ids.shape) == (2, (5, 5))
    one = model.model(0)
    scores = [one(torch.tensor([[sequence]])).logits[0, 0] for sequence in ids]
    right = [torch.stack(scores[2:]).log_softmax(0)[2], torch.stack(scores[:2]).log_softmax(0)[1]]
    loss = kind.loss(one, forward.to_device(batch, torch.device("cpu")))
    torch.testing.assert_close(loss, -sum(right))
    pieces = [kind.loss(one, forward.to_device(batch.piece(at, at + 1), torch.device("cpu")))
              for at in range(2)]  # fmt: skip
    torch.testing.assert_close(torch.stack(pieces), -torch.stack(right))


def test_all_kinds_mix_over_one_encoder(world: World) -> None:
    inputs = world.training(*TRAINED, epochs=1, sampler={"name": "uniform", "temperature": None})
    outcome = world.run(world.spec("train", inputs), "mixture")
    assert outcome.status == "done"
    assert set(outcome.curve[0]["tasks"]) == {task.name for task in TRAINED}
    saved = sorted(path.stem for path in world.path("mixture/checkpoint/heads").iterdir())
    assert saved == sorted(task.name for task in TRAINED)
