"""Many tests at once: p-values of a family, corrected."""

from __future__ import annotations

from collections.abc import Sequence

ALPHA = 0.05


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p-values by Holm's step-down method (1979, Scandinavian Journal of Statistics 6).

    Below `ALPHA` they keep the chance of even one false find in the family at that.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for place, number in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - place) * values[number]))
        adjusted[number] = highest
    return adjusted


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Benjamini and Hochberg (1995, J. R. Statist. Soc. B 57).

    Those below a share are a set of finds of which that share is false, on average.
    """
    from scipy import stats

    return [float(q) for q in stats.false_discovery_control(values)] if len(values) else []


def stars(p: float | None) -> str:
    """One star below 0.05, two below 0.01, three below 0.001."""
    return "" if p is None else "*" * sum(p < bound for bound in (ALPHA, 0.01, 0.001))
