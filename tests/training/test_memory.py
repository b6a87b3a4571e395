"""Memory that runs out: smaller pieces of the same batches, remembered for the next job."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from real_work import Run, smallest
from safetensors.torch import load_file
from transformers import XLMRobertaModel

from sweeper.analysis.store import Store
from sweeper.graph import BASE
from sweeper.store.files import StoreFiles
from sweeper.tasks import tokenizers
from sweeper.training.causes import classify
from sweeper.training.memory import OutOfMemory, ran_out
from sweeper.training.work import work

CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has ...")
HOST = MemoryError()
CPU = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")
TWO = smallest(intermediates={"surface": None}, seeds=[0, 1])
FIRST, SECOND = "train/surface/seed=0", "train/surface/seed=1"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of `TWO` in which the base is trained and the rows' data prepared."""
    folder = tmp_path_factory.mktemp("prepared") / "store"
    Run(TWO, folder).give(FIRST)
    return folder


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "store"))


def room(monkeypatch: pytest.MonkeyPatch, rows: int, error: Exception = CUDA) -> list[int]:
    """Let the encoder raise above so many rows; returns how many it was given, each time."""
    given: list[int] = []
    whole = XLMRobertaModel.forward

    def forward(self: Any, input_ids: torch.Tensor, **more: Any) -> Any:
        given.append(len(input_ids))
        if len(input_ids) > rows:
            raise error
        return whole(self, input_ids=input_ids, **more)

    monkeypatch.setattr(XLMRobertaModel, "forward", forward)
    return given


def limits(files: StoreFiles) -> dict[str, list[str]]:
    """What kind of work -> what is known to run out."""
    found: dict[str, list[str]] = {}
    for shape in files.names("limits"):
        names = files.names(f"limits/{shape}")
        found[files.read(f"limits/{shape}/{names[0]}")["shape"]["do"]] = names
    return found


@pytest.mark.parametrize("error", [CUDA, HOST, CPU], ids=["cuda", "host", "cpu"])
def test_a_batch_that_does_not_fit_goes_in_pieces_and_the_next_job_knows(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole = Run(TWO, Path(shutil.copytree(store, tmp_path / "whole")))
    whole.give(SECOND)

    driver = Run(TWO, store)
    given = room(monkeypatch, 5, error)
    driver.give(SECOND)
    assert [spec.key for spec in driver.specs] == [FIRST] * 3 + [SECOND]
    assert driver.said("retry") == [
        f"attempt {n} ended: the memory of cpu ran out with {size} examples at once; the next "
        "attempt takes half"
        for n, size in ((1, 16), (2, 8))
    ]
    assert set(given) == {16, 8, 4}
    assert limits(driver.files) == {"train": ["cpu.16", "cpu.8"]}

    # The same batches: the weights differ by rounding alone, since nothing drops out.
    one, other = (load_file(d.weights(FIRST)) for d in (whole, driver))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4)

    given.clear()
    again = Run(TWO, store)
    *_, result = work(again.give(SECOND)[1], again.files)
    assert result.status == "done" and again.ran == [SECOND]
    assert set(given) == {4}, "a second job of the shape does not run out again"
    trials = Store(store).trials(kind="train").set_index("job")["micro_batch"]
    assert trials[SECOND] == 4
    assert pd.isna(trials[BASE]), "the base was trained while there was room"


def test_scores_that_do_not_fit_go_in_smaller_batches(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Run(TWO, Path(shutil.copytree(store, tmp_path / "whole")))
    whole.go()
    driver = Run(TWO, store)
    given = room(monkeypatch, 16)
    driver.go()
    assert not driver.progress.failures and not driver.progress.left
    assert list(limits(driver.files)) == ["score"]
    assert all("padded subwords at once" in said for said in driver.said("retry"))
    first, *others = (spec.key for spec in driver.specs if spec.kind == "score")
    assert others.count(first) == len(driver.said("retry")), "only the first one runs out"
    assert max(given) > 16
    one, other = (Store(d.files.address).scores() for d in (whole, driver))
    assert one["value"].tolist() == pytest.approx(other["value"].tolist())


def test_what_does_not_fit_at_all_fails_with_what_to_do(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Run(TWO, store)
    room(monkeypatch, 0)
    driver.give("score/none>demo_retrieval/seed=0")
    failed = driver.progress.failures[FIRST]
    assert failed.startswith("the memory of cpu ran out with 1 example at once")
    assert "Lower `max_length`" in failed
    tried = [spec.key for spec in driver.specs].count(FIRST)
    assert tried == 5, "16, 8, 4, 2, 1"


def test_memory_that_runs_out_where_nothing_can_be_smaller_may_be_there_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: object, **__: object) -> None:
        raise HOST

    monkeypatch.setattr(tokenizers, "train", train)
    driver = Run(smallest(), tmp_path / "store")
    driver.go()
    assert len(driver.specs) == 3
    assert driver.files.names("limits") == []


def test_which_errors_are_of_memory() -> None:
    assert all(ran_out(error) for error in (CUDA, HOST, CPU))
    assert ran_out(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ..."))
    assert not ran_out(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert [classify(e) for e in (OutOfMemory("", "", {}), CUDA, HOST)] == [
        "out_of_memory", "infrastructure", "infrastructure",
    ]  # fmt: skip
