"""The recipe for Slurm, on a Slurm of this machine: a controller and two nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.slurm import RECIPE, Slurm, missing, slurm, submit
from sweeper import Store
from tests.end_to_end.conftest import TINY

pytestmark = pytest.mark.skipif(
    bool(missing()), reason=f"this machine lacks {', '.join(missing())} for a Slurm of its own"
)
SCRIPT = str(RECIPE.relative_to(RECIPE.parents[2]))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with slurm() as running:
        yield running


def test_slurm_takes_the_script_and_refuses_more_than_there_is(cluster: Slurm) -> None:
    takes = cluster.said("sbatch", "--test-only", SCRIPT, "demo")
    assert "2 processors on nodes sweeper-one,sweeper-two" in takes
    with pytest.raises(SystemExit, match="Requested node configuration is not available"):
        cluster.said("sbatch", "--test-only", "--nodes=3", SCRIPT, "demo")


@pytest.mark.long
def test_a_sweep_whose_time_is_over_queues_again_and_ends(cluster: Slurm, tmp_path: Path) -> None:
    store = tmp_path / "store"
    state, said = submit(cluster, store, 8, str(TINY), "--store", str(store))
    assert state == "COMPLETED", said
    assert "its time is over, it queues again" in said
    assert "Zero-shot scores" in said
    trials = Store(store).trials()
    assert set(trials["status"]) == {"done"}
    hosts = set(trials["worker"].str.partition(":")[0])
    assert hosts == {"sweeper-one", "sweeper-two"}
    for path in cluster.folder.rglob("*"):  # with what Slurm itself keeps of a job
        if path.is_file():
            assert not re.search(rb"RAY_AUTH_TOKEN=\w{32}", path.read_bytes()), path
