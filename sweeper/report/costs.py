"""What a plan costs, for people and as data."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from sweeper.disk import size
from sweeper.errors import EngineError
from sweeper.estimates import Estimate
from sweeper.prices import CPU
from sweeper.report.terminal import duration, say, table


def print_estimate(out: Console, found: Estimate | None) -> None:
    """An estimate: what it is of and rests on, the longest chain, and a line per cluster."""
    out.print()
    if found is None:
        said = "Estimate: none, since the size of this base model is not known here"
        say(out, f"{said}; that of a folder would be (`base: {{model: ./FOLDER}}`).")
        return
    if not found.seconds:
        say(out, "Estimate: nothing is left to do.")
        return
    unit = _unit(found)
    say(
        out,
        f"Estimate for {found.name}: {_amount(found.hours)} {unit}-hours, {_error(found)}",
        "bold",
    )
    say(out, f"  It rests on {_basis(found)}.")
    steps = " > ".join(found.chain)
    say(out, f"  Longest chain: {duration(found.chain_seconds)}: {steps}")
    out.print()
    priced = any(one.cost for one in found.schedules)
    heads = [f"{unit}s", "wall time", f"{unit}-hours held", "busy", "disk"]
    heads += [found.currency] if priced else []
    made = table(*heads, right=range(len(heads)))
    for one in found.schedules:
        cells = [f"{one.slots:,}", duration(one.wall), _amount(one.held), f"{one.busy:.0%}"]
        cells.append("unknown" if one.disk is None else size(one.disk))
        if priced:
            cells.append("unknown" if one.cost is None else _amount(one.cost))
        made.add_row(*cells)
    out.print(made)
    out.print()
    say(out, _price(found, unit))


def _amount(number: float) -> str:
    """Hours or money with two decimals; with two digits where that would be next to nothing."""
    return f"{number:,.2f}" if number >= 0.1 or not number else f"{number:.2g}"


def _unit(found: Estimate) -> str:
    return "core" if found.name == CPU else "GPU"


def _error(found: Estimate) -> str:
    if found.factor >= 1.8:
        return f"by a factor of {found.factor:.1f} either way"
    return f"± {100 * (found.factor - 1):.0f} %"


def _basis(found: Estimate) -> str:
    if not found.measured:
        return "a model alone; it gets better with the first jobs that are done"
    jobs = "job" if found.measured == 1 else "jobs"
    return (
        f"{found.measured} {jobs} with this encoder that the store has, and a model for the rest"
    )


def _price(found: Estimate, unit: str) -> str:
    device = found.device
    if found.name == CPU and not device.price:
        return "Cores of your own cost nothing here; `--gpu` names another device."
    if device.price is None:
        return f"The price of {found.name} is not known: add it to a table (`--prices FILE`)."
    said = [f"{device.source}, {device.date}" if device.date else device.source]
    where = "; ".join([one for one in said if one] + ["`--prices FILE` for yours"])
    return f"Held till the end, at {device.price:g} {found.currency} per {unit}-hour ({where})."


def data_of(found: Estimate | None) -> dict[str, Any] | None:
    """An estimate as data: hours, seconds, bytes and money."""
    if found is None:
        return None
    return {
        "device": found.name,
        "price": found.device.price,
        "currency": found.currency,
        "hours": found.hours,
        "factor": found.factor,
        "measured_jobs": found.measured,
        "chain": found.chain,
        "chain_seconds": found.chain_seconds,
        "schedules": found.schedules,
    }


def check_budget(found: Estimate | None, hours: float | None, cost: float | None) -> None:
    """Refuse a plan that is over a budget.

    Raises:
        EngineError: it is, or it cannot be known whether it is, or the budget is none.
    """
    for name, most in (("--max-gpu-hours", hours), ("--max-cost", cost)):
        if most is not None and not most > 0:
            raise EngineError(
                f"{name} must be above 0, it is {most:g}. Leave it out for no limit."
            )
    if hours is None and cost is None:
        return
    if found is None:
        raise EngineError(
            "Whether this plan is within the budget cannot be known, since the size of its base "
            "model is not. Give the model as a folder, or plan without a budget."
        )
    if hours is not None and found.hours > hours:
        raise EngineError(
            f"The plan needs about {_amount(found.hours)} {_unit(found)}-hours, over the budget "
            f"of {hours:g}. Take seeds, rows, targets or trials out of the study, or raise "
            "--max-gpu-hours."
        )
    if cost is not None:
        _check_cost(found, cost)


def _check_cost(found: Estimate, most: float) -> None:
    known = [one for one in found.schedules if one.cost is not None]
    if not known:
        raise EngineError(
            f"The price of {found.name} is not known, so --max-cost cannot be held. Add it to a "
            "copy of the table (`--prices FILE`)."
        )
    cheapest = min(known, key=lambda one: one.cost or 0.0)
    if (cheapest.cost or 0.0) > most:
        raise EngineError(
            f"The plan costs about {_amount(cheapest.cost or 0.0)} {found.currency} on "
            f"{cheapest.slots} {found.name}, over the budget of {most:g}. Take seeds, rows, "
            "targets or trials out of the study, give other --gpus, or raise --max-cost."
        )
