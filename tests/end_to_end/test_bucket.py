"""The life of a sweep whose store is in a bucket: as on a disk, and from any host."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoModelForSequenceClassification

from benchmarks.s3 import KEYS, new_address
from sweeper import Store
from sweeper.store.files import StoreFiles
from tests.end_to_end.conftest import TINY, sweeper


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.yaml with one seed and a row less: less than half the jobs."""
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    text = TINY.read_text().replace("seeds: [0, 1]", "seeds: [0]")
    path.write_text(text.replace("  surface:\n  mixture", "  mixture"))
    return path


@pytest.fixture(scope="module")
def store(s3: str, study: Path, one_core: None) -> str:
    """A finished store of it in a bucket."""
    address = new_address()
    ran = sweeper("run", study, "--store", address)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert address in ran.stdout
    return address


def _scores(store: str | Path) -> pd.DataFrame:
    keys = ["target", "intermediate", "split", "language", "metric"]
    rows = ["none", "mixture"]
    found = Store(store).scores(seed=0, intermediate=rows, metric="all").set_index(keys)
    return found.sort_index()[["value", "n", "unit"]]


def test_its_scores_are_those_of_a_folder(store: str, tiny_store: Path) -> None:
    pd.testing.assert_frame_equal(_scores(store), _scores(tiny_store))
    trials = Store(store).trials()
    assert set(trials["status"]) == {"done"}
    assert trials["address"].is_unique


def test_a_second_run_does_nothing(store: str, study: Path) -> None:
    before = StoreFiles(store).sizes("")
    again = sweeper("run", study, "--store", store)
    assert again.returncode == 0, again.stderr
    assert "nothing, all was done before" in again.stderr
    assert StoreFiles(store).sizes("") == before


def test_only_what_a_store_is_made_of_is_there_and_no_secret(store: str) -> None:
    files = StoreFiles(store)
    names = list(files.sizes(""))
    parts = [
        "asks",
        "attempts",
        "commits",
        "drivers",
        "dropped",
        "logs",
        "store.json",
        "studies",
        "tables",
    ]
    assert sorted({name.split("/")[0] for name in names}) == parts
    secret = KEYS["AWS_SECRET_ACCESS_KEY"].encode()
    assert not any(secret in (content or b"") for content in files.contents(names))


def test_every_command_reads_it(store: str, study: Path) -> None:
    plan = sweeper("plan", study, "--store", store)
    assert "18 of 18 jobs" in plan.stdout
    assert "Complete" in sweeper("status", "--store", store).stdout
    assert "mixture" in sweeper("status", "--watch", "--store", store).stdout
    assert "Nothing runs" in sweeper("stop", "tiny", "--store", store).stdout
    assert "mixture" in sweeper("matrix", "--store", store).stdout
    assert "demo_retrieval" in sweeper("export", "scores", "--store", store).stdout
    job = "train/mixture/seed=0"
    logs = sweeper("logs", job, "--store", store)
    assert f"{job} done" in logs.stdout
    assert logs.stderr.startswith(f"{store}/logs/{job}/")


def test_the_best_checkpoint_is_fetched_when_it_is_used(store: str) -> None:
    best = Store(store).best("topic")
    assert best.address.startswith(f"{store}/attempts/")
    model = AutoModelForSequenceClassification.from_pretrained(best.path)
    assert model.config.num_labels > 1
