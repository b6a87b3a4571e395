"""The engine on a made-up cluster under a virtual clock; `benchmarks.virtual` at a tenth."""

from __future__ import annotations

import pytest
from helpers import quick_store

from benchmarks.virtual import Cluster, Faults, figures
from benchmarks.world import large_study, started


@pytest.mark.parametrize("faults", [Faults(), Faults(failing=0.02, preempted=0.05)])
@pytest.mark.parametrize("slots", [16, 64])  # bound by the slots, and by the longest chain
def test_a_thousand_jobs_end_within_a_twentieth_of_the_bound(slots: int, faults: Faults) -> None:
    with quick_store() as files:
        progress, driver = started(large_study(seeds=4), files)
        cluster = Cluster(progress, driver, slots, seed=0, faults=faults)
        cluster.run()
        found = figures(cluster)
    assert found.jobs > 1000
    assert not progress.left and not progress.failures
    assert found.bound <= found.makespan <= 1.05 * found.bound
    assert found.makespan <= 1.05 * found.list_
    assert found.overtaken == 0, "a job starved: later and no more urgent ones went first"
    assert (found.events["broken"] > 10 and found.events["preempted"] > 5) == bool(faults.failing)


def test_a_narrow_place_holds_no_slot_that_a_job_wants() -> None:
    """Ten times the slots that the plan's jobs can fill: holds come and go."""
    with quick_store() as files:
        progress, driver = started(large_study(seeds=1), files)
        cluster = Cluster(progress, driver, 512, seed=0, faults=Faults())
        cluster.run()
        found = figures(cluster)
    assert not progress.left
    assert found.makespan == pytest.approx(found.bound, rel=0.01)
