"""Scoring: outputs stand in row order whatever the batches, and known neighbours are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from sweeper.errors import ModelError
from sweeper.tasks.card import Card
from sweeper.training import checkpoints, retrieval, scoring
from sweeper.training.forward import Batch, ready_mask
from sweeper.training.memory import Limits
from sweeper.training.models import Head, Heads, Source, build
from sweeper.training.retrieval import Representation, embed, embeddings

from .conftest import MINED, NER, NLI, PAIRS, TEXT, TRAINED, World, rows

NARROW = Limits(lambda folder: ["cpu.2"])
"""Two padded subwords at once ran out of memory."""


def head(task: Card) -> Head:
    return Head(task.name, task.kind, tuple(task.labels))


def model(world: World, task: Card) -> Heads:
    return build(Source(str(world.path("encoder"))), [head(task)], world.tokenizer, 1)


def run(world: World, task: Card, names: list[str], limits: Limits | None = None) -> Any:
    """What a model says about units of 9, 17 and 30 rows."""
    sizes = {"a": 9, "b": 17, "c": 30}
    units = {
        name: world.table(world.unit(task, name, rows(task, sizes[name]), length=10)).features
        for name in names
    }
    runner = scoring.Runner(world.tokenizer, torch.device("cpu"), limits or Limits(), every=0.0)
    job = scoring.run(model(world, task), units, runner)
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def test_token_windows_rejoin_to_what_the_model_says_row_by_row(world: World) -> None:
    scored = run(world, NER, ["a", "b", "c"])
    one = model(world, NER).eval().model(0)
    for name in ("a", "b", "c"):
        features = world.table(f"units/ner/{name}").features
        assert len(scored[name].outputs) == features.num_rows
        assert features.num_rows > {"a": 9, "b": 17, "c": 30}[name]
        losses: list[float] = []
        for row, output in zip(features.to_pylist(), scored[name].outputs, strict=True):
            labels = torch.tensor(row["labels"])
            logits = one(torch.tensor([row["input_ids"]])).logits[0][labels >= 0]
            assert output == logits.argmax(-1).tolist()
            right = logits.log_softmax(-1).gather(1, labels[labels >= 0, None])
            losses += (-right[:, 0]).tolist()
        assert scored[name].loss == pytest.approx(np.mean(losses), rel=1e-5)


def flat(output: Any) -> list[float]:
    """The numbers of an output, however deep."""
    if output is None:
        return []
    if isinstance(output, list | tuple):
        return [number for part in output for number in flat(part)]
    return [float(output)]


@pytest.mark.parametrize("task", [*TRAINED, PAIRS, MINED], ids=lambda task: task.kind)
def test_neither_batches_nor_other_languages_change_a_unit(world: World, task: Card) -> None:
    together = run(world, task, ["a", "b", "c"])
    alone = run(world, task, ["b"], NARROW)
    pairs = zip(alone["b"].outputs, together["b"].outputs, strict=True)
    assert all(flat(one) == pytest.approx(flat(other), rel=1e-4, abs=1e-5) for one, other in pairs)
    if task is TEXT:
        assert np.array(alone["b"].outputs)[:, 1].sum() > 0
    if task in TRAINED:
        assert alone["b"].loss == pytest.approx(together["b"].loss, rel=1e-5)


@pytest.mark.parametrize(("layer", "index"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_sentences_are_pooled_over_what_is_no_padding(
    world: World, layer: float, index: int
) -> None:
    encoder = model(world, PAIRS).eval().encoder
    short, long = torch.tensor([[0, 7, 2]]), torch.tensor([[0, 5, 6, 8, 2]])
    ids = torch.full((2, 5), 1)
    ids[0, :3], ids[1] = short[0], long[0]
    batch = Batch(ids, (ids != 1).long(), torch.empty(0), None)
    for pooling in ("mean", "cls"):
        vectors = embed(encoder, batch, Representation(layer, pooling))
        for one, vector in zip((short, long), vectors, strict=True):
            states = encoder(one, output_hidden_states=True).hidden_states[index][0]
            pooled = states.mean(0) if pooling == "mean" else states[0]
            torch.testing.assert_close(vector, pooled / pooled.norm())
    whole = encoder(ids, attention_mask=batch.mask, output_hidden_states=True).hidden_states
    found = embed(encoder, batch, Representation(layer, "cls"))
    assert torch.equal(found, torch.nn.functional.normalize(whole[index][:, 0], dim=-1))
    with pytest.raises(ModelError, match="'max'"):
        embed(encoder, batch, Representation(1.0, "max"))


def test_no_layer_above_the_wanted_one_is_run(world: World) -> None:
    encoder = model(world, PAIRS).eval().encoder
    layers = list(encoder.encoder.layer)
    run: list[int] = []
    for number, layer in enumerate(layers, 1):
        layer.register_forward_hook(lambda *_, number=number: run.append(number))
    batch = Batch(torch.tensor([[0, 7, 2]]), None, torch.empty(0), None)
    deep, shallow = Representation(1.0), Representation(0.5, "cls")
    for hows, expected in (([shallow], [1]), ([deep, shallow], [1, 2]), ([Representation(0)], [])):
        run.clear()
        found = embeddings(encoder, batch, hows)
        assert run == expected
        assert all(
            torch.equal(one, embed(encoder, batch, how))
            for one, how in zip(found, hows, strict=True)
        )
        assert list(encoder.encoder.layer) == layers


def test_all_layers_of_an_unknown_family_are_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = model(world, PAIRS).eval().encoder
    batch = Batch(torch.tensor([[0, 7, 8, 2]]), None, torch.empty(0), None)
    known = embed(encoder, batch, Representation(0.5))
    monkeypatch.setattr(retrieval, "KNOWN", ())
    assert torch.equal(embed(encoder, batch, Representation(0.5)), known)


def score_inputs(world: World, task: Card, checkpoint: str, **units: str) -> dict[str, Any]:
    return {
        "checkpoint": {"path": checkpoint},
        "tokenizer": {"path": "tokenizer"},
        "card": task.model_dump(mode="json"),
        "data": {f"test/{language}": unit for language, unit in units.items()},
        "languages": {f"test/{language}": language for language in units},
        "representation": None,
    }


def test_a_trial_is_scored_in_every_language_still_missing(world: World) -> None:
    world.run(world.spec("tune", world.tuning(NLI, epochs=1)), "trial")
    units = {code: world.unit(NLI, code, rows(NLI, 11, 300)) for code in ("en", "de", "fr")}
    inputs = score_inputs(world, NLI, "trial/epoch=1", **units)
    spec = world.spec("score", inputs, units={"test/de": "x", "test/fr": "y"})
    outcome = world.run(spec, "scores")
    assert [(row["unit"], row["language"], row["n"]) for row in outcome.scores] == [
        ("test/de", "de", 11),
        ("test/fr", "fr", 11),
    ]
    row = outcome.scores[0]
    mine = [one for one in outcome.examples if one["unit"] == "test/de"]
    assert row["value"] == pytest.approx(100 * sum(one["correct"] for one in mine) / 11)
    assert (row["split"], row["metric"]) == ("test", "accuracy")
    assert [one["id"] for one in mine] == [str(number) for number in range(300, 311)]
    assert set(mine[0]) == {
        *("unit", "split", "language", "id", "gold", "predicted", "correct", "score", "ranking")
    }


def test_identical_sentences_are_their_own_neighbours(world: World) -> None:
    data = [{**row, "pair": row["text"]} for row in rows(PAIRS, 9)]
    data = [row for row in data if row["text"] not in {"ana bela"}]
    unit = world.unit(PAIRS, "same", data)
    inputs = score_inputs(world, PAIRS, "encoder", de=unit)
    inputs["representation"] = {"layer": 0.5, "pooling": "mean"}
    outcome = world.run(world.spec("score", inputs), "scores")
    found = {row["metric"]: row["value"] for row in outcome.scores}
    assert found["accuracy"] == 100.0 and found["xsim"] == 0.0


def test_scored_predictions_are_those_of_the_saved_folder(world: World) -> None:
    checkpoints.save(model(world, NER), world.tokenizer, world.path("ner"))
    unit = world.unit(NER, "test", rows(NER, 8))
    outcome = world.run(world.spec("score", score_inputs(world, NER, "ner", de=unit)), "scores")
    other = AutoModelForTokenClassification.from_pretrained(world.path("ner")).eval()
    for row, example in zip(world.table(unit).features.to_pylist(), outcome.examples, strict=True):
        logits = other(torch.tensor([row["input_ids"]])).logits[0]
        best = [other.config.id2label[int(i)] for i in logits.argmax(-1)]
        kept = [tag for tag, label in zip(best, row["labels"], strict=True) if label >= 0]
        assert example["predicted"] == " ".join(kept)


def test_an_evaluation_leaves_grad_mode_alone_between_its_steps(world: World) -> None:
    units = {"a": world.table(world.unit(NLI, "a", rows(NLI, 9))).features}
    runner = scoring.Runner(world.tokenizer, torch.device("cpu"), NARROW, every=0.0)
    job = scoring.run(model(world, NLI), units, runner)
    next(job)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    job.close()


def test_a_ready_mask_is_the_same_mask(world: World) -> None:
    encoder = model(world, PAIRS).eval().encoder
    ids = torch.tensor([[0, 5, 6, 8, 2], [0, 7, 2, 1, 1]])
    mask = (ids != 1).long()
    expected = encoder(ids, attention_mask=mask).last_hidden_state
    found = encoder(ids, attention_mask=ready_mask(mask)).last_hidden_state
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()])
