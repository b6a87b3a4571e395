"""What this host says of itself, and what it tries in a store."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import small_study

from sweeper.errors import StoreError
from sweeper.health import host, judging
from sweeper.health.probing import clock_of, probe
from sweeper.health.wanted import wanted
from sweeper.planning import plan
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from tests.end_to_end.conftest import TINY


def test_versions_are_those_that_are_installed() -> None:
    found = host.versions()
    assert found["transformers"] == version("transformers")
    assert "+" not in found["torch"] and version("torch").startswith(found["torch"])


def test_data_files_are_told_apart_by_size_and_beginning(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    found = host.data(str(tmp_path), ["a", "b", "c"])["files"]
    assert found["a"][0] == 3 and found["a"][1] != found["b"][1] and found["c"] is None
    (tmp_path / "b").write_text("one")
    assert host.data(str(tmp_path), ["b"])["files"]["b"] == found["a"]


def test_gpus_are_those_that_the_driver_of_the_device_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for `nvidia-smi`; no torch of this host reaches what it shows."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert host.gpus()["seen"] == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H100\necho NVIDIA H100\n")
    program.chmod(0o755)
    found = host.gpus()
    assert found["seen"] == ["NVIDIA H100", "NVIDIA H100"] and found["error"] == ""
    (first, *_) = judging.gpus({"b": {"gpus": found}})
    assert first.state == "wrong"


def test_a_gpu_is_known_to_a_torch_that_has_kernels_for_it() -> None:
    built = ["sm_75", "sm_80", "sm_86", "sm_90a"]
    known = {(7, 5), (8, 0), (8, 6), (8, 9), (9, 0)}
    tried = [(7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (9, 1), (10, 0), (12, 0)]
    assert {device for device in tried if host.has_kernels(built, *device)} == known
    assert host.has_kernels([*built, "compute_90"], 12, 0)
    assert not host.has_kernels(["compute_90"], 8, 9)


def test_what_is_tried_in_a_store_leaves_nothing(anywhere: str) -> None:
    for made in (False, True):  # where no store is yet, and in one
        if made:
            StoreFiles(anywhere, create=True)
        before = everything(anywhere) if made else []
        with probe(anywhere) as address, ThreadPoolExecutor(8) as pool:
            answers = [*pool.map(lambda who: host.compete(f"t{who}", address, 20), range(8))]
        assert [f.state for f in judging.race(anywhere, answers, 20)] == ["ok", "ok"]
        assert sum(len(answer["won"]) for answer in answers) == 20
        if made:
            assert everything(anywhere) == before
        else:
            assert not Path(anywhere).exists()
            with pytest.raises(StoreError, match="There is no store"):
                StoreFiles(anywhere)


def everything(address: str) -> list[str]:
    return [*StoreFiles(address).sizes("")]


def test_a_host_that_does_not_see_the_store_says_so(tmp_path: Path) -> None:
    told = host.compete("b", str(tmp_path / "elsewhere"), 3)
    assert not told["seen"] and told["won"] == [] and "There is no store" in told["error"]


def test_a_store_without_rights_is_refused_with_a_sentence(small_disk: Path) -> None:
    StoreFiles(small_disk / "s", create=True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = r"store must be writable.*Mend its permissions or give another folder"
    with pytest.raises(StoreError, match=said), probe(str(small_disk / "s")):
        pass


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="holds files and is not a store"), probe(str(tmp_path)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_clock_of_a_shared_folder_is_that_which_dates_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)  # this host is an hour behind
    ahead = clock_of(str(tmp_path))
    assert ahead is not None and 3590 < ahead < 3610
    assert clock_of("s3://bucket/path") is None


CARD = """
name: mine
title: Mine
kind: classification
licence: our own
provenance: {en: native}
labels: [good, bad]
training_task: mine
selection: {split: dev, language: en}
splits:
  train: {languages: [en], rows: 2}
  dev: {languages: [en], rows: 1}
  test: {languages: [en], rows: 1}
sources:
  local:
    format: jsonl
    files: {train: "{language}/train.jsonl", dev: "{language}/*.dev.jsonl", test: test.jsonl}
    columns: {text: text, label: label}
"""


def test_what_a_plan_reads_is_what_hosts_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wanted(plan(Study.load(TINY)))["files"] == []  # its data is made up
    monkeypatch.setenv("SWEEPER_DATA", "hub")
    asked = wanted(plan(Study.load("xtreme")))
    assert asked["hub"] and asked["models"] == ["FacebookAI/xlm-roberta-large"]
    assert "google/xtreme" in " ".join(asked["datasets"])

    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "mine.yaml").write_text(CARD)
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "a.dev.jsonl").write_text("{}")
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path))
    study = small_study(
        intermediates={"mine": None}, targets={"mine": None}, spaces={},
        tasks_path=str(tmp_path / "cards"),
    )  # fmt: skip
    asked = wanted(plan(study))
    assert (asked["root"], asked["hub"]) == (str(tmp_path), False)
    assert asked["files"] == ["en/a.dev.jsonl", "en/train.jsonl", "test.jsonl"]
    assert host.data(asked["root"], asked["files"])["files"]["test.jsonl"] is None
