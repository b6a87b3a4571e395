"""What a training computes: accumulation, divergence, determinism, learning."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sweeper.errors import ModelError
from sweeper.jobs import Outcome, Progress
from sweeper.tasks.card import Card
from sweeper.training import checkpoints
from sweeper.training.models import Head, Source, build
from sweeper.training.resume import ResumePoints

from .conftest import ALWAYS, NER, NLI, TEXT, TRAINED, World, card


def trained(world: World, folder: str, *tasks: Card, **changes: Any) -> Any:
    """The tensors of a trained checkpoint."""
    outcome = world.run(world.spec("train", world.training(*tasks, **changes)), folder)
    assert outcome.status == "done"
    return load_file(world.path(f"{folder}/checkpoint/model.safetensors"))


@pytest.mark.parametrize("task", TRAINED, ids=lambda task: task.kind)
def test_accumulation_gives_the_gradient_of_the_whole_batch(
    world: World, task: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Adam would blow up rounding where a gradient is zero, so its first moment is compared.
    def gradients(address: str) -> dict[str, torch.Tensor]:
        inputs = world.training(task, batch=20, dropout=0.0)
        world.stop(world.spec("train", inputs, address=address), 1)
        point = ResumePoints(world, address).load()
        assert point is not None
        return {n: t for n, t in point.tensors.items() if n.startswith("optimizer.exp_avg.")}

    whole = gradients("whole")
    monkeypatch.setattr(world, "names", lambda folder: ["cpu.6"])  # six at once ran out of memory
    pieces = gradients("pieces")
    assert len(whole) > 30
    for name, tensor in whole.items():
        torch.testing.assert_close(pieces[name], tensor, rtol=1e-4, atol=1e-7)
    assert max(float(tensor.abs().max()) for tensor in whole.values()) > 1e-3


def test_the_same_seed_gives_the_same_weights(world: World) -> None:
    one = trained(world, "one", NLI)
    other = trained(world, "other", NLI)
    third = trained(world, "third", NLI, rng=8)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["classifier.dense.weight"], third["classifier.dense.weight"])


def test_a_huge_learning_rate_is_an_outcome(world: World) -> None:
    spec = world.spec("train", world.training(NLI, learning_rate=1e30, epochs=4))
    outcome = world.run(spec, "wild")
    assert outcome.status == "diverged"
    assert "Lower the learning rate" in outcome.message
    assert "1e+30" in outcome.message
    assert not world.path("wild/checkpoint").exists()


def test_weights_broken_by_the_last_step_are_never_evaluated(world: World) -> None:
    inputs = world.tuning(NLI, learning_rate=1e39, steps=1, warmup=0.0)
    outcome = world.run(world.spec("tune", inputs), "wild")
    assert (outcome.status, outcome.selections) == ("diverged", {})
    assert "weights are not finite" in outcome.message


def test_a_diverged_training_leaves_no_resume_point(world: World) -> None:
    inputs = world.training(NLI, learning_rate=1e39, warmup=0.0, steps=50)
    spec = world.spec("train", inputs)
    attempt = world.start(spec, "wild", ALWAYS)
    for progress in attempt:
        if isinstance(progress, Progress) and progress.phase == "train":
            break
    attempt.close()  # type: ignore[attr-defined]  # a generator
    assert not world.path(f"resume/{spec.address}").exists()


def test_the_curve_has_a_row_per_epoch(world: World) -> None:
    inputs = world.training(NLI, NER, epochs=3)
    outcome = world.run(world.spec("train", inputs), "mixture")
    assert [(row["epoch"], row["step"]) for row in outcome.curve] == [(1, 12), (2, 24), (3, 36)]
    assert outcome.curve[-1]["loss"] == outcome.loss
    assert set(outcome.curve[0]["tasks"]) == {"nli", "ner"}
    assert outcome.steps == 36
    assert 36 * 2 < outcome.examples_seen <= 36 * 4


def test_training_learns_and_the_best_epoch_is_saved(world: World) -> None:
    inputs = world.tuning(NLI, count=60, epochs=8, learning_rate=1e-2)
    outcome = world.run(world.spec("tune", inputs), "trial")
    assert outcome.curve[-1]["loss"] < 0.5 * outcome.curve[0]["loss"]
    for name, best in outcome.selections.items():
        seen = [
            (row["selections"][name]["value"], -row["selections"][name]["loss"])
            for row in outcome.curve
        ]
        assert best["epoch"] == seen.index(max(seen)) + 1
        assert best["value"] > 80
        assert best["checkpoint"] == f"epoch={best['epoch']}"
    folders = {path.name for path in world.path("trial").iterdir()}
    assert folders == {best["checkpoint"] for best in outcome.selections.values()}


def test_a_masked_lm_is_chosen_by_its_lower_loss(world: World) -> None:
    outcome = world.run(world.spec("tune", world.tuning(TEXT, epochs=3, learning_rate=3e-3)), "x")
    for name, best in outcome.selections.items():
        assert best["value"] == min(row["selections"][name]["value"] for row in outcome.curve)
        assert best["value"] == pytest.approx(best["loss"])


def test_only_the_encoder_of_a_stage_reaches_the_next(world: World) -> None:
    first = world.spec("train", world.training(NLI, NER))
    world.run(first, "mixture")
    parent = {"path": "mixture/checkpoint"}
    inputs = world.training(NLI, parent=parent, steps=1, learning_rate=1e-9, rng=7)
    world.run(world.spec("train", inputs, address="b"), "next")
    start = load_file(world.path("mixture/checkpoint/model.safetensors"))
    end = load_file(world.path("next/checkpoint/model.safetensors"))
    for name, tensor in start.items():
        torch.testing.assert_close(end[f"roberta.{name}"], tensor)
    fresh = build(
        Source(str(world.path("encoder"))),
        [Head("nli", "classification", ("yes", "no"))],
        world.tokenizer,
        7,
    )
    own = dict(fresh.model(0).named_parameters())
    torch.testing.assert_close(
        end["classifier.out_proj.weight"], own["classifier.out_proj.weight"]
    )
    heads = [Head("nli", "classification", ("yes", "no"))]
    trained_head = checkpoints.load_mixture(
        world.path("mixture/checkpoint"), heads, world.tokenizer
    )
    weight = trained_head.model(0).get_parameter("classifier.out_proj.weight")
    assert not torch.allclose(end["classifier.out_proj.weight"], weight, atol=1e-5)


def test_selection_labels_must_be_the_trained_ones(world: World) -> None:
    inputs = world.tuning(NLI)
    other = card("other", "classification", ("no", "yes")).model_dump(mode="json")
    inputs["selections"]["nli/dev/en"]["card"] = other
    with pytest.raises(ModelError, match=r"nli/dev/en .*\['no', 'yes'\]"):
        world.run(world.spec("tune", inputs), "x")


def test_inputs_longer_than_the_positions_are_refused(world: World) -> None:
    sizes = {"layers": 1, "hidden": 8, "heads": 2, "feed_forward": 8, "max_length": 5}
    with pytest.raises(ModelError, match="positions for 5"):
        world.run(world.spec("train", world.training(NLI, parent={"scratch": sizes})), "x")


def test_outcomes_are_plain_data(world: World) -> None:
    outcome: Outcome = world.run(world.spec("tune", world.tuning(NER)), "x")
    json.dumps(vars(outcome), allow_nan=False)


@pytest.mark.parametrize("task", [NLI, TEXT], ids=lambda task: task.kind)
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_frozen_layers_do_not_move_and_all_others_do(
    world: World, task: Card, layers: int
) -> None:
    before = load_file(world.path("encoder/model.safetensors"))
    after = trained(world, "after", task, frozen_layers=layers, learning_rate=1e-2)
    frozen = ("embeddings.", *(f"encoder.layer.{number}." for number in range(layers)))
    kept, moved = set(), set()
    for name, tensor in after.items():
        own = name.split(".", 1)[1]  # the saved model's prefix is its family's
        if own in before:
            same = torch.equal(tensor, before[own])
            (kept if own.startswith(frozen) else moved).add((own, same))
    assert kept and all(same for _, same in kept)
    assert layers == 2 or (moved and not any(same for own, same in moved if "key.bias" not in own))


def test_a_frozen_training_resumes_to_the_same_weights(world: World) -> None:
    whole = trained(world, "whole", NLI, frozen_layers=1)
    spec = world.spec("train", world.training(NLI, frozen_layers=1), address="b" * 32)
    world.stop(spec, 2)
    assert world.run(spec, "resumed").status == "done"
    resumed = load_file(world.path("resumed/checkpoint/model.safetensors"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_more_frozen_layers_than_there_are(world: World) -> None:
    with pytest.raises(ModelError, match="at most 2, the layers of this encoder; it is 3"):
        trained(world, "none", NLI, frozen_layers=3)
