"""Kinds that search among vectors: of several units, and with a reference representation."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.training import work

from .conftest import ANSWERS, MINED, PAIRS, WORDS, World, rows, score


def mined(count: int, shift: int) -> list[dict[str, Any]]:
    """Foreign sentences whose translations are themselves, and some without one."""
    draws = random.Random(shift)
    texts = [" ".join(draws.choices(WORDS, k=4)) for _ in range(count)]
    both = []
    for n, text in enumerate(texts):
        both.append({"id": f"f{n}", "text": text, "side": 0, "partner": f"e{n}" * (n % 4 > 0)})
        if n % 4:
            both.append({"id": f"e{n}", "text": text, "side": 1, "partner": ""})
    return both


def test_bitext_is_mined_at_the_threshold_of_its_dev_unit(world: World) -> None:
    units = {
        "test/de": world.unit(MINED, "test", mined(30, 40)),
        "dev/de": world.unit(MINED, "dev", mined(30, 0)),
    }
    how = {"layer": 0.0, "pooling": "mean"}
    outcome = score(world, MINED, "encoder", units, "test/de", representation=how)
    values = {row["metric"]: row for row in outcome.scores}
    assert values["recall"]["value"] == 100.0
    assert values["f1"]["n"] == 30  # the foreign sentences
    assert {row["unit"] for row in outcome.scores} == {"test/de"}
    said = {row["id"]: row["predicted"] for row in outcome.examples}
    assert all(said[f"f{n}"] == f"e{n}" for n in range(30) if n % 4)
    dev = score(world, MINED, "encoder", {"dev/de": units["dev/de"]}, representation=how)
    chosen = {row["metric"]: row["value"] for row in dev.scores}["threshold"]
    assert values["threshold"]["value"] == pytest.approx(chosen, rel=1e-5)
    with pytest.raises(DataError, match=r"mined/test/de cannot .* without mined/dev/de"):
        score(world, MINED, "encoder", {"test/de": units["test/de"]})


def test_a_reference_representation_stands_beside_the_configured_one(world: World) -> None:
    units = {"test/de": world.unit(PAIRS, "test", rows(PAIRS, 20))}
    other = {"layer": 1.0, "pooling": "cls"}
    outcome = score(world, PAIRS, "encoder", units, representation=other)
    found = {row["metric"]: row for row in outcome.scores}
    assert set(found) == {"accuracy", "xsim", "accuracy@14/24", "xsim@14/24"}
    how = {"layer": 14 / 24, "pooling": "mean"}
    for alone in score(world, PAIRS, "encoder", units, representation=how).scores:
        beside = found[f"{alone['metric']}@14/24"]
        assert (beside["value"], beside["representation"]) == (alone["value"], how)
    said = {"main": "accuracy", "zero_shot": {"test/de": True}, "overlap": {"test/de": ""}}
    said |= {"checkpoint": "c", "weights": "selected", "parameters": {}}
    inputs = {"representation": other, "columns": said}
    spec = world.spec("score", inputs, units={"test/de": "x"})
    recorded = [(row["main"], row["representation"]) for row in work._score_rows(spec, outcome)]
    mine, theirs = '{"layer": 1.0, "pooling": "cls"}', f'{{"layer": {14 / 24}, "pooling": "mean"}}'
    assert recorded == [(True, mine), (False, mine), (False, theirs), (False, theirs)]


def test_answers_are_looked_up_in_the_pool_of_all_languages(world: World) -> None:
    units = {}
    for code, shift in (("en", 0), ("de", 40)):
        data = []
        for n in range(shift, shift + 12):
            text = f"{WORDS[n % 10]} {WORDS[n // 10]} {n}"
            data.append({"id": f"q{n}", "text": text, "role": "question", "keys": [str(n)]})
            # The candidate of a question is in the other language's unit.
            key = str((n + 40) % 80)
            other = f"{WORDS[int(key) % 10]} {WORDS[int(key) // 10]} {key}"
            data.append({"id": f"c{key}", "text": other, "role": "candidate", "keys": [key]})
        units[f"test/{code}"] = world.unit(ANSWERS, code, data)
    how = {"layer": 0.0, "pooling": "mean"}
    outcome = score(world, ANSWERS, "encoder", units, "test/de", representation=how)
    values = {row["metric"]: row["value"] for row in outcome.scores}
    assert (values["map@3"], values["mrr@3"]) == (100.0, 100.0)
    said = {row["id"]: row["predicted"] for row in outcome.examples}
    assert said == {f"q{n}": f"c{n}" for n in range(40, 52)}
    pool = {f"c{n % 80}" for n in (*range(40, 52), *range(80, 92))}
    for row in outcome.examples:
        assert row["ranking"][0] == row["predicted"]
        assert len(set(row["ranking"])) == 3 and set(row["ranking"]) <= pool
    spec = world.spec("score", {}, units={"test/de": "x"})
    files = StoreFiles(world.path("store"), create=True)
    name = tables.write(files, "examples", "a", work._example_rows(spec, outcome)).name
    kept = tables.read(files, "examples", [name])["ranking"].to_pylist()
    assert kept == [row["ranking"] for row in outcome.examples]
