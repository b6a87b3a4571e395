"""The last epoch of a trial and the mean of its epochs, beside its best ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from sweeper.jobs import Outcome
from sweeper.training.averaging import RunningMean
from sweeper.training.models import Head, Source, build
from sweeper.training.resume import Tensors

from .conftest import NLI, World


def trial(world: World, folder: str, *keep: str, epochs: int = 2) -> Outcome:
    """A trial whose first epoch is the best."""
    inputs = world.tuning(NLI, count=9, epochs=epochs, learning_rate=1e-2, dropout=0.1, keep=keep)
    return world.run(world.spec("tune", inputs), folder)


def weights(folder: Path) -> Tensors:
    return load_file(folder / "model.safetensors")


def test_the_average_is_the_mean_of_the_epochs_that_were_saved(world: World) -> None:
    outcome = trial(world, "x", "averaged", "last")
    assert {best["epoch"] for best in outcome.selections.values()} == {1}
    assert {name: one["checkpoint"] for name, one in outcome.kept.items()} == {
        "last": "epoch=2", "averaged": "averaged",
    }  # fmt: skip
    assert (outcome.kept["last"]["epoch"], outcome.kept["averaged"]["epochs"]) == (2, 2)
    folders = (world.path("x") / name for name in ("epoch=1", "epoch=2", "averaged"))
    first, second, mean = map(weights, folders)
    assert any(not torch.equal(first[name], second[name]) for name in mean)
    for name, found in mean.items():
        torch.testing.assert_close(found, (first[name] + second[name]) / 2, rtol=1e-6, atol=1e-8)
    AutoModelForSequenceClassification.from_pretrained(world.path("x/averaged"))


def test_of_many_epochs_each_counts_alike(world: World) -> None:
    """Against the mean in float64: a running mean in float32 rounds, and no more."""
    head = Head(NLI.name, NLI.kind, tuple(NLI.labels))
    model = build(Source(str(world.path("encoder"))), [head], world.tokenizer, rng=0)
    mean, epochs, chance = RunningMean(), [], torch.Generator().manual_seed(0)
    for _ in range(7):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, generator=chance)
        epochs.append({name: p.detach().clone() for name, p in model.named_parameters()})
        mean.add(model)
    assert mean.count == 7
    for name, found in mean.tensors.items():
        expected = torch.stack([epoch[name].double() for epoch in epochs]).mean(dim=0)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    with mean.in_place(model):
        one = next(model.parameters())
        assert not torch.equal(one, next(iter(epochs[-1].values())))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, epochs[-1][name])


def test_what_is_kept_changes_nothing_of_the_training(world: World) -> None:
    plain, more = trial(world, "x", epochs=3), trial(world, "y", "averaged", "last", epochs=3)
    assert (plain.selections, plain.curve) == (more.selections, more.curve)
    assert plain.kept == {}
    assert {path.name for path in world.path("x").iterdir()} == {"epoch=1"}
    assert {path.name for path in world.path("y").iterdir()} == {"epoch=1", "epoch=3", "averaged"}
    for name in more.kept["last"]["selections"]:
        assert more.kept["last"]["selections"][name] == more.curve[-1]["selections"][name]


def test_the_average_is_told_by_dev_and_chooses_nothing(world: World) -> None:
    """Its value is that of the folder, which is scored like any other checkpoint."""
    outcome = trial(world, "x", "averaged")
    assert set(outcome.kept) == {"averaged"}
    for name, found in outcome.kept["averaged"]["selections"].items():
        unit = world.tuning(NLI)["selections"][name]["data"]
        inputs = {
            "checkpoint": {"path": "x/averaged"},
            "tokenizer": {"path": "tokenizer"},
            "card": NLI.model_dump(mode="json"),
            "data": {"dev/en": unit},
            "languages": {"dev/en": "en"},
        }
        scored = world.run(world.spec("score", inputs), "scores").scores
        (value,) = [row["value"] for row in scored if row["metric"] == found["metric"]]
        assert found["value"] == pytest.approx(value)
        assert found["loss"] != outcome.curve[-1]["selections"][name]["loss"]
