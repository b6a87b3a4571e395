"""Checkpoints that lost their search: when they are known, dropped, and made again."""

from __future__ import annotations

from typing import Any

from helpers import (
    SMALLEST,
    SPACE,
    cards_like,
    commit_job,
    finish,
    outcome_of,
    progress_of,
    small_study,
)

from sweeper.inputs import Inputs
from sweeper.losers import losers, losers_after
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.states import READY, WAITING
from sweeper.store.files import StoreFiles


def test_losers_are_known_when_their_search_is_scored(files: StoreFiles) -> None:
    progress = progress_of(small_study(**SMALLEST), files)
    score = "score/none>tagging/seed=0"
    finish(progress, until=lambda key: key == score)
    assert list(losers(progress)) == []
    commit_job(progress, score)
    (loser,) = losers(progress)
    assert list(losers_after(progress, score)) == [loser]
    search = progress.plan.searches["none>tagging/seed=0"]
    won = progress.addressing.winner(search, "tagging/dev/qaa")
    assert won and loser != progress.addressing.address(won[0].key)
    progress.commits.drop(loser)
    assert list(losers(progress)) == []
    assert list(losers(progress_of(small_study(**SMALLEST), files))) == []
    assert not progress_of(small_study(**SMALLEST), files).left, "a dropped loser is done"


def test_the_winner_stays_where_another_trial_is_the_same(files: StoreFiles) -> None:
    """Random search over few choices draws the same parameters twice."""
    space = {"search": {"learning_rate": [1e-3]}, "sampler": "random", "trials": 3}
    progress = progress_of(small_study(**SMALLEST, spaces={"tagging": space}), files)
    search = progress.plan.searches["none>tagging/seed=0"]
    for number in range(3):
        progress.asked(search, number, {"learning_rate": 1e-3})
    finish(progress)
    assert list(losers(progress)) == []


def _drop_losers(progress: Progress) -> set[str]:
    lost = set(losers(progress))
    for address in lost:
        progress.commits.drop(address)
    return lost


def _narrowed(progress: Progress) -> dict[str, Any]:
    """The space without the winner: its loser is the winner of the narrower study."""
    search = progress.plan.searches["none>tagging/seed=0"]
    won = progress.addressing.winner(search, "tagging/dev/qaa")
    assert won
    rates = [rate for rate in SPACE["search"]["learning_rate"]
             if rate != progress.addressing.training(won[0])["learning_rate"]]  # fmt: skip
    return {"tagging": {"search": {"learning_rate": rates}}}


def test_a_dropped_checkpoint_that_is_needed_again_is_made_again(files: StoreFiles) -> None:
    progress = progress_of(small_study(**SMALLEST), files)
    finish(progress)
    (loser,) = _drop_losers(progress)
    changed = small_study(**SMALLEST, spaces=_narrowed(progress))
    again = progress_of(changed, files)
    trial, score = "tune/none>tagging/seed=0/trial=0", "score/none>tagging/seed=0"
    assert again.left == {trial, score}
    assert again.state(trial) == READY and again.state(score) == WAITING
    assert again.generation(loser) == 1
    assert finish(again) == [trial, score]
    assert sorted(files.names("commits")).count(f"{loser}.1") == 1
    checkpoint = Inputs(again.addressing).of(score, again.missing(score))["checkpoint"]["path"]
    assert files.local(checkpoint).parent.is_dir()
    assert not progress_of(changed, files).left
    # The first study's own scores are there; it misses nothing.
    assert not progress_of(small_study(**SMALLEST), files).left


def test_a_dropped_checkpoint_is_made_once_for_two_scores(files: StoreFiles) -> None:
    """Known only while running: the winner of a search that was widened is an old loser."""
    cards = cards_like("tagging", 0)
    twin = cards["tagging"].model_copy(
        update={"name": "twin", "selection": cards["tagging"].selection}
    )
    cards = {**cards, "twin": twin}
    at = {"selection": {"task": "tagging", "split": "dev", "language": "qaa"}}

    def planned(rates: list[float]) -> Any:
        spaces = {"tagging": {"search": {"learning_rate": rates}}}
        targets = {"tagging": at, "twin": at | {"splits": ["test", "dev"]}}
        said = {**SMALLEST, "targets": targets, "task_limits": {"twin": {"test": 5}}}
        return plan(small_study(**said, spaces=spaces), cards=cards)

    progress = progress_of(planned([3e-4, 1e-3]), files)
    finish(progress)
    search = progress.plan.searches["none>tagging/seed=0"]
    ranked = progress.addressing.ranking(search, "tagging/dev/qaa")
    loser = progress.addressing.training(ranked[1][0])["learning_rate"]
    _drop_losers(progress)

    again = progress_of(planned([loser, 5e-3]), files)
    new, old = (f"tune/none>tagging/seed=0/trial={n}" for n in (1, 0))
    ran = []
    while (key := again.take()) is not None:
        if not again.claim(key):
            continue
        bad = outcome_of(again.plan.jobs[key], key)
        if key == new:
            bad["selections"]["tagging/dev/qaa"]["value"] = -1.0
        commit_job(again, key, bad if key == new else None)
        ran.append(key)
    assert ran[:2] == [new, old], "the old loser wins, so it is trained again"
    assert sorted(ran[2:]) == ["score/none>tagging/seed=0", "score/none>twin/seed=0"]
    assert not again.left


def test_a_training_made_again_may_come_out_otherwise(files: StoreFiles) -> None:
    progress = progress_of(small_study(**SMALLEST), files)
    finish(progress)
    _drop_losers(progress)
    again = progress_of(small_study(**SMALLEST, spaces=_narrowed(progress)), files)
    score = "score/none>tagging/seed=0"
    before = again.addressing.units(score)
    key = again.take()
    assert key and again.claim(key)
    made = outcome_of(again.plan.jobs[key], key)
    made["selections"]["tagging/dev/qaa"] |= {"epoch": 99, "checkpoint": "epoch=99"}
    commit_job(again, key, made)
    assert again.addressing.units(score) != before
    inputs = Inputs(again.addressing).of(score, again.missing(score))
    assert inputs["checkpoint"]["path"].endswith("/epoch=99")
