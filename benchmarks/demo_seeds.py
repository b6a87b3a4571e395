"""Repeat the demo over further seeds: in which share of them does it say the same?

    python -m benchmarks.demo_seeds --store runs/demo_seeds --seeds 10

Per seed, the demo's claims: supersense helps tagging and retrieval (gain > 0), surface stays
below supersense on both, the nearest language scores above the farthest in every row and trained
target. Over groups of three seeds: the mean gain of supersense is at least 3 points on both, and
at least 3 points above surface's. The base model is the demo's own, trained once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from sweeper import Store, Study, run

HELPED = ("tagging", "demo_retrieval")
TRAINED = ("tagging", "topic")


def claims(store: Store, seed: int) -> dict[str, bool]:
    """The demo's claims for one seed."""
    scores = store.scores(seed=seed)
    means = scores[scores["zero_shot"]].groupby(["target", "intermediate"])["value"].mean()
    near = scores.pivot_table(
        index=["target", "intermediate"], columns="language", values="value"
    ).loc[list(TRAINED)]
    found = {"nearest above farthest": bool((near["qab"] > near["qae"]).all())}
    for target in HELPED:
        row = means[target]
        found[f"supersense helps {target}"] = bool(row["supersense"] > row["none"])
        found[f"surface below supersense on {target}"] = bool(row["supersense"] > row["surface"])
    return found


def group_claims(gains: pd.DataFrame, seeds: list[int]) -> bool:
    """Whether three seeds together say what the demo says."""
    means = gains.loc[seeds].mean()
    return all(
        means[target, "supersense"] >= 3
        and means[target, "supersense"] - means[target, "surface"] >= 3
        and (gains.loc[seeds, (target, "supersense")] > 0).all()
        for target in HELPED
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("runs/demo_seeds"))
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    demo = Study.load("demo")
    first = max(demo.seeds) + 1
    seeds = tuple(range(first, first + given.seeds))
    run(demo.model_copy(update={"seeds": seeds}), given.store)

    store = Store(given.store)
    table = pd.DataFrame({seed: claims(store, seed) for seed in seeds}).T
    print(table.sum().rename("seeds that agree").to_string())
    print(f"all claims hold in {table.all(axis=1).sum()} of {len(seeds)} further seeds")

    scores = store.scores()
    means = scores[scores["zero_shot"]].pivot_table(
        index="seed", columns=["target", "intermediate"], values="value"
    )
    gains = means.copy()
    for target, row in means.columns:
        gains[target, row] = means[target, row] - means[target, "none"]
    shown = gains[[(t, r) for t in (*HELPED, "topic") for r in ("supersense", "surface")]]
    print("\ngain over none, points, per seed")
    print(shown.round(1).to_string())
    groups = [list(seeds[i : i + 3]) for i in range(len(seeds) - 2)]
    agree = sum(group_claims(gains, group) for group in groups)
    print(f"\nthe demo's test holds in {agree} of {len(groups)} groups of three following seeds")


if __name__ == "__main__":
    main()
