"""What the demo promises: transfer that is real, and checkpoints that are what was scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sweeper import Store
from sweeper.tasks import synthetic

TRAINED = ("tagging", "topic")
ROWS = ("none", "supersense", "surface", "mixture")


@pytest.fixture(scope="module")
def store(demo_run: tuple[Path, str]) -> Store:
    return Store(demo_run[0])


@pytest.mark.parametrize("target", ["tagging", "demo_retrieval"])
def test_supersense_helps_and_surface_does_not(store: Store, target: str) -> None:
    gains = store.matrix(value="gain")[target]
    assert gains["supersense"] >= 3
    assert gains["supersense"] - gains["surface"] >= 3


@pytest.mark.parametrize("target", TRAINED)
def test_the_nearest_language_scores_above_the_farthest(store: Store, target: str) -> None:
    scores = store.scores(target=target)
    means = scores.pivot_table(index="intermediate", columns="language", values="value")
    assert (means["qab"] > means["qae"]).all()


@pytest.mark.parametrize("target", TRAINED)
def test_every_trained_target_beats_its_majority_class_nearby(store: Store, target: str) -> None:
    examples = store.examples(target=target, language="qab")
    gold = examples.drop_duplicates("id")["gold"].str.split().explode()
    majority = 100 * gold.value_counts(normalize=True).iloc[0]
    scores = store.scores(target=target, language="qab", metric="all")
    accuracy = scores[scores["metric"].str.contains("accuracy")]
    assert set(accuracy["intermediate"]) == set(ROWS)
    assert (accuracy.groupby("intermediate")["value"].mean() > majority).all()


def test_the_helpful_task_shares_neither_examples_nor_labels_with_the_target() -> None:
    def sentences(task: str, split: str) -> list[dict]:
        return synthetic.rows(task, split, "qaa")

    helpful = [row for split in ("train", "dev") for row in sentences("supersense", split)]
    target = [row for split in ("train", "dev", "test") for row in sentences("tagging", split)]
    assert not {tuple(r["tokens"]) for r in helpful} & {tuple(r["tokens"]) for r in target}
    labels = [{tag for row in rows for tag in row["tags"]} - {"O"} for rows in (helpful, target)]
    assert labels[0]
    assert labels[1]
    assert not labels[0] & labels[1]


def test_a_saved_checkpoint_predicts_what_was_scored(store: Store) -> None:
    """With Hugging Face's own classes alone, in float32 on the CPU."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    best = store.best(target="tagging")
    model = AutoModelForTokenClassification.from_pretrained(best.path).eval().to("cpu")
    tokenizer = AutoTokenizer.from_pretrained(best.path)
    assert model.dtype == torch.float32
    same = total = 0
    for language in ("qaa", "qab", "qae"):
        stored = store.examples(
            target="tagging",
            intermediate=best.intermediate,
            seed=best.seed,
            language=language,
        ).set_index("id")
        for row in synthetic.rows("tagging", "test", language):
            inputs = tokenizer(row["tokens"], is_split_into_words=True, return_tensors="pt")
            with torch.inference_mode():
                chosen = model(**inputs).logits[0].argmax(-1).tolist()
            words = inputs.word_ids()
            first = [i for i, w in enumerate(words) if w is not None and words[i - 1] != w]
            tags = " ".join(model.config.id2label[chosen[i]] for i in first)
            same += tags == stored.loc[row["id"], "predicted"]
            total += 1
    assert total == 3 * len(synthetic.rows("tagging", "test", "qaa"))
    assert same / total >= 0.999


def test_the_stored_score_is_the_official_metric_of_the_stored_predictions(store: Store) -> None:
    from seqeval.metrics import f1_score

    best = store.best(target="tagging")
    where = {"target": "tagging", "intermediate": best.intermediate, "seed": best.seed}
    for language in ("qaa", "qab", "qae"):
        examples = store.examples(language=language, **where)
        gold = [text.split() for text in examples["gold"]]
        predicted = [text.split() for text in examples["predicted"]]
        stored = store.scores(language=language, **where)["value"].item()
        assert stored == pytest.approx(100 * f1_score(gold, predicted), abs=0.1)


def test_losers_are_gone_and_winners_are_there(store: Store, demo_run: tuple[Path, str]) -> None:
    trials = store.trials()
    tuned = trials[trials["kind"] == "tune"]
    kept = [
        row["address"]
        for _, row in tuned.iterrows()
        if list((demo_run[0] / "attempts" / row["address"]).rglob("*.safetensors"))
    ]
    searches = tuned.groupby(["intermediate", "target", "seed"]).ngroups
    assert len(kept) == searches


def test_no_stage_was_trained_twice_and_rows_are_paired_by_seed(store: Store) -> None:
    trials = store.trials()
    assert trials["address"].is_unique
    tuned = trials[(trials["kind"] == "tune") & (trials["target"] == "tagging")]
    draws = tuned.groupby(["seed", "trial"])["parameters"].nunique()
    assert (draws == 1).all()
    rates = {json.loads(p)["learning_rate"] for p in tuned["parameters"]}
    assert len(rates) > 1
    assert np.isfinite(trials["committed"]).all()


def test_what_the_demo_prints(demo_run: tuple[Path, str]) -> None:
    store, printed = demo_run
    for name in ("supersense", "surface", "mixture", "tagging", "topic", "demo_retrieval"):
        assert name in printed
    assert str(store) in printed
