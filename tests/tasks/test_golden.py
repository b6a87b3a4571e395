"""Every metric against the values of the official scorers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeper.errors import DataError
from sweeper.tasks import kinds, metrics
from sweeper.tasks.kinds.base import Unit
from sweeper.tasks.kinds.bitext_mining import candidates
from sweeper.tasks.metrics import aggregate, mining, neighbours, qa, ranking
from sweeper.tasks.metrics.squad_v2 import Answers

from .conftest import card

Case = dict[str, Any]
BLOCK = (37, 53)  # small, so that the golden cases go through many blocks


def cases(folder: Path, metric: str) -> list[Case]:
    found = [json.loads(path.read_text("utf-8")) for path in sorted(folder.rglob("*.json"))]
    chosen = [case for case in found if case["metric"] == metric]
    assert chosen, f"no golden case has the metric {metric}"
    return chosen


def arrays(folder: Path, case: Case) -> dict[str, Any]:
    with np.load(folder / case["task"] / case["arrays"]["file"], allow_pickle=False) as file:
        return {name: neighbours.normalised(file[name]) for name in file.files}


def check(case: Case, found: dict[str, float], wanted: dict[str, Any] | None = None) -> None:
    wanted = case["expected"] if wanted is None else wanted
    for name, value in wanted.items():
        if name in case["not_compared"]:
            continue
        within = case["tolerance"].get(name, case["tolerance"]["default"])
        assert found[name] == pytest.approx(value, abs=within), (case["case"], name)


def test_every_case_is_of_a_metric_that_is_tested_here(golden: Path) -> None:
    tested = {
        "accuracy", "tagging",  # test_metrics.py
        "choice_accuracy", "squad_v1", "mlqa", "squad_v2", "tatoeba_accuracy", "bucc", "xsim",
        "map_at_k", "mewslix_mrr_at_20", "aggregate",
    }  # fmt: skip
    found = {json.loads(path.read_text("utf-8"))["metric"] for path in golden.rglob("*.json")}
    assert found <= tested


def test_choices(golden: Path) -> None:
    for case in cases(golden, "choice_accuracy"):
        predicted = metrics.choices(case["inputs"]["choice_scores"])
        assert predicted == case["expected_extra"]["predicted_choice"]
        check(case, {"accuracy": metrics.accuracy(case["inputs"]["gold"], predicted)})


@pytest.mark.parametrize("metric", ["squad_v1", "mlqa"])
def test_answers(golden: Path, metric: str) -> None:
    for case in cases(golden, metric):
        gold = {one["id"]: one["answers"] for one in case["inputs"]["gold"]}
        words = qa.mlqa(case["language"]) if metric == "mlqa" else qa.squad
        check(case, qa.answers(gold, case["inputs"]["predictions"], words))


def test_answers_with_a_threshold(golden: Path) -> None:
    for case in cases(golden, "squad_v2"):
        inputs = case["inputs"]
        gold = {one["id"]: one["answers"] for one in inputs["gold"]}
        scored = Answers(gold, inputs["predictions"], inputs["na_probs"])
        exact, f1 = scored.best_exact(), scored.best_f1()
        found = {
            **scored.at(1.0),
            "best_exact": exact.score,
            "best_exact_thresh": exact.threshold,
            "best_f1": f1.score,
            "best_f1_thresh": f1.threshold,
            "mean_best_exact_best_f1": (exact.score + f1.score) / 2,
        }
        check(case, found, {k: v for k, v in case["expected"].items() if k != "at_threshold"})
        for threshold, wanted in zip(
            inputs["extra_thresholds"], case["expected"]["at_threshold"], strict=True
        ):
            at = {"na_prob_thresh": threshold, **scored.at(threshold)}
            check(case, at, wanted)


def test_sentence_retrieval(golden: Path, tokenizer: Any) -> None:
    """The nearest sentences by the project's own search, and what the kind makes of them."""
    kind = kinds.get("sentence_retrieval")
    task = card("sentence_retrieval")
    for case in cases(golden, "tatoeba_accuracy"):
        loaded = arrays(golden, case)
        gold = case["inputs"]["gold"]
        # Row n of the English vectors is the n-th English sentence in the order of the text.
        rows = [
            {"id": str(n), "text": "", "pair": f"{gold.index(n):05}"} for n in range(len(gold))
        ]
        features, examples = kind.encode(rows, task, tokenizer, 16)
        near = neighbours.nearest(loaded["english"], loaded["foreign"], 1, block=BLOCK)
        outputs = [out for (number,) in near.number.tolist() for out in (0, number)]
        check(case, kind.evaluate(task, examples, features, outputs).metrics)


MINING = card("bitext_mining", local={"format": "bucc", "files": {"test": ["a", "b", "c"]}})


def bucc_unit(split: str, side: Case, vectors: Any, k: int, tokenizer: Any) -> Unit:
    """A unit of a case, encoded by the kind, and what mining says of its features."""
    rows = []
    for number, (name, partners) in enumerate(
        [("src", dict(side["gold"])), ("trg", {other: one for one, other in side["gold"]})]
    ):
        pairs = zip(side[f"{name}_ids"], side[f"{name}_sentences"], strict=True)
        rows += [
            {"id": one, "text": text, "side": number, "partner": partners.get(one, "")}
            for one, text in pairs
        ]
    features, examples = kinds.get("bitext_mining").encode(rows, MINING, tokenizer, 16)
    sides, ids = examples["side"].to_numpy(), np.array(examples["id"].to_pylist())
    source, target = (
        vectors[f"{split}_{name}"][
            [side[f"{name}_ids"].index(one) for one in ids[sides == number]]
        ]
        for number, name in enumerate(("src", "trg"))
    )
    mined = mining.mine(source, target, k=k, block=BLOCK)
    outputs: list[Any] = [None] * len(ids)
    for one, other, margin in zip(*mined, strict=True):
        outputs[one] = (other, float(margin))
    return Unit(split, "zh", examples, features, outputs)


def test_bucc(golden: Path, tokenizer: Any) -> None:
    for case in cases(golden, "bucc"):
        loaded, k = arrays(golden, case), case["inputs"]["k"]
        units = {
            split: bucc_unit(split, case["inputs"][split], loaded, k, tokenizer)
            for split in ("dev", "test")
            if split in case["inputs"]
        }
        scored = kinds.get("bitext_mining").evaluate_units(MINING, units)
        for split, unit in units.items():
            found = candidates(unit.examples, unit.outputs)
            taken = sum(name != "" for name in scored[split].predicted)
            counts = {"n_extracted": taken, "n_candidates": len(found)}
            check(case, {**scored[split].metrics, **counts}, case["expected"][split])
            mined = sum(output is not None for output in unit.outputs)
            assert mined == case["expected_extra"][f"{split}_n_mined"]
            wanted = case["expected_extra"][f"{split}_candidates"]
            assert {(s, t) for s, t, _ in wanted} == set(found)
            for one, other, margin in wanted:
                assert found[one, other] == pytest.approx(margin, abs=1e-5)
            threshold = {"threshold": case["expected"]["threshold"]}
            check(case, scored[split].metrics, threshold)


def test_xsim(golden: Path) -> None:
    for case in cases(golden, "xsim"):
        loaded = arrays(golden, case)
        there, back = (
            neighbours.nearest(loaded[one], loaded[other], mining.NEIGHBOURS, block=BLOCK)
            for one, other in (("src", "trg"), ("trg", "src"))
        )
        found = mining.likeliest(there, back).tolist()
        texts = case["inputs"].get("trg_text", [])
        rates = {"error_rate": 100.0 - metrics.accuracy([*range(len(found))], found)}
        if texts:
            said = [texts[row] for row in found]
            rates["error_rate_textual"] = 100.0 - metrics.accuracy(texts, said)
        wanted = {name: v for name, v in case["expected"].items() if name.startswith("error_rate")}
        check(case, rates, wanted)


def test_rankings(golden: Path) -> None:
    for case in cases(golden, "map_at_k"):
        loaded = arrays(golden, case)
        every = len(loaded["candidates"])
        near = neighbours.nearest(loaded["questions"], loaded["candidates"], every, block=BLOCK)
        names = [candidate["uid"] for candidate in case["inputs"]["candidates"]]
        rankings = [[names[at] for at in row] for row in near.number.tolist()]
        relevant = case["inputs"]["relevant"]
        right = [set(relevant[one["xling_id"]]) for one in case["inputs"]["questions"]]
        found = {
            "map@20": ranking.mean_average_precision(rankings, right, 20),
            "map@3": ranking.mean_average_precision(rankings, right, 3),
            "mrr@20": ranking.mean_reciprocal_rank(rankings, right, 20),
        }
        check(case, found)


def test_mewsli_x(golden: Path) -> None:
    for case in cases(golden, "mewslix_mrr_at_20"):
        inputs = case["inputs"]
        found = ranking.mewsli_x(inputs["gold"], inputs["predictions"], inputs["k"])
        check(case, {"map@20": found})


def test_aggregates(golden: Path) -> None:
    known = {one.name: one for one in (aggregate.XTREME, aggregate.XTREME_R)}
    for case in cases(golden, "aggregate"):
        benchmark = known[case["inputs"]["xtreme_version"]]
        wanted = case["expected"]
        if "error" in wanted:
            with pytest.raises(DataError, match=wanted["missing_file"]):
                aggregate.summary(case["inputs"]["scores"], benchmark)
            continue
        found = aggregate.summary(case["inputs"]["scores"], benchmark)
        assert found.tasks.keys() == wanted["tasks"].keys()
        for task, means in wanted["tasks"].items():
            assert found.tasks[task] == pytest.approx(means, abs=1e-6), (case["case"], task)
        assert found.groups == pytest.approx(wanted["groups"], abs=1e-6)
        assert found.all_task == pytest.approx(wanted["all_task"], abs=1e-6)
        extra = case.get("expected_extra", {}).get("mean_over_four_categories")
        if extra is not None:
            assert found.categories == pytest.approx(extra, abs=1e-6)
