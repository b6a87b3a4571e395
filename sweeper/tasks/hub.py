"""Datasets of the Hugging Face hub: at which commit they are, and their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError, suggest
from sweeper.tasks import formats
from sweeper.tasks.card import HubSource, fill
from sweeper.tasks.formats import Record

if TYPE_CHECKING:
    from sweeper.tasks.sources import Resolution

_COMMIT = re.compile(r"[0-9a-f]{40}")


def revision(source: HubSource) -> str:
    """The commit that the card's revision stands for; a full commit is taken at its word."""
    if source.revision and _COMMIT.fullmatch(source.revision):
        return source.revision
    return look_up(source.dataset, source.revision)


@cache
def look_up(dataset: str, revision: str | None) -> str:
    """The commit that a dataset's revision stands for; None: the newest.

    Asked once per process, so that all tasks of a study see one commit of a dataset.

    Raises:
        DataError: the hub does not answer, or knows no such dataset or revision.
    """
    from huggingface_hub import HfApi

    try:
        sha = HfApi().dataset_info(dataset, revision=revision).sha
    except errors() as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise DataError(
            f"The Hugging Face dataset {dataset!r} (revision {revision or 'newest'}) cannot be "
            f"looked up: {reason}. Check the name and the network, write a full commit as "
            "`revision:` in the card, or use local files (SWEEPER_DATA, `data:`)."
        ) from None
    if not sha:
        raise DataError(
            f"The hub names no commit for the dataset {dataset!r}. Write one as `revision:` in "
            "the card."
        )
    return str(sha)


def errors() -> tuple[type[Exception], ...]:
    """What asking the hub raises when the name is wrong, or the network or the hub is down."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # A failed connection is an error of the HTTP library alone, and which one that is changes
    # with the version of huggingface_hub; but its root is a base of the hub's own error.
    roots = [
        c for c in HfHubHTTPError.__bases__ if c.__name__ in ("HTTPError", "RequestException")
    ]
    return (OSError, HfHubHTTPError, HFValidationError, *roots)


# ---- rows -------------------------------------------------------------------------------------


def origin(resolution: Resolution) -> str:
    """What a dataset, config and split are called in messages."""
    config = f", config {resolution['config']}" if resolution["config"] else ""
    return f"hub dataset {resolution['dataset']}{config}, split {resolution['split']}"


def records(source: HubSource, resolution: Resolution) -> Iterator[Record]:
    """Rows of a hub dataset; lines are row numbers from 0, as the hub's viewer counts.

    Raises:
        DataError: it cannot be loaded, lacks a column, or has labels in another order.
    """
    table = _load(resolution)
    where = origin(resolution)
    fields = list(source.columns.items())
    tops = {field: [path.split(".")[0] for path in _paths(given)] for field, given in fields}
    for column in dict.fromkeys(top for given in tops.values() for top in given):
        if column not in table.column_names:
            raise DataError(
                f"{where}: the dataset must have the column {column!r}."
                f"{suggest(column, table.column_names)} Mend the card's `columns:`."
            )
    named = {field: _label_names(table, tops[field][0]) for field, _ in fields}
    for field, names in named.items():
        _check_label_order(source, where, field, names)
    by_name = {field: names for field, names in named.items() if names and not _by_number(source)}
    prefix = fill(source.id_prefix, resolution["language"]).lower() if source.id_prefix else ""
    columns = list(dict.fromkeys(top for given in tops.values() for top in given))
    number = 0
    for batch in table.select_columns(columns).iter(batch_size=1000):
        for cells in zip(*(batch[column] for column in columns), strict=True):
            whole = dict(zip(columns, cells, strict=True))
            record = formats.picked(whole, source.columns, f"{where}, row", number)
            number += 1
            row = {**record.values}
            for field, names in by_name.items() if row else ():
                row[field] = _named(row[field], names)
            if not prefix or record.fault or str(row.get("id", "")).lower().startswith(prefix):
                yield replace(record, values=row)


def _paths(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def _load(resolution: Resolution) -> Any:
    """The dataset, from the local cache or the hub."""
    import datasets

    try:
        return datasets.load_dataset(
            resolution["dataset"],
            resolution["config"],
            split=resolution["split"],
            revision=resolution["revision"],
        )
    except (
        *errors(),  # no network, no such dataset
        ValueError,  # no such config or split
        RuntimeError,  # a dataset that is a script
        datasets.exceptions.DatasetsError,
    ) as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise DataError(
            f"{origin(resolution)} (revision {resolution['revision']}) cannot be loaded: "
            f"{reason}. Check the card's `sources: hub:` and the network, or use local files "
            "(SWEEPER_DATA, or `data:` in the study)."
        ) from None


def _label_names(table: Any, column: str) -> tuple[str, ...]:
    """The names of a ClassLabel column (or of a list of them), else nothing."""
    feature = table.features[column]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return tuple(names or ())


def _by_number(source: HubSource) -> bool:
    return isinstance(source.labels, tuple)


def _check_label_order(source: HubSource, origin: str, field: str, names: tuple[str, ...]) -> None:
    """A card's list of labels must agree with the dataset's own names where these are the same.

    A swapped order would not crash: it would train a head whose labels mean something else.
    """
    listed = source.labels
    if not names or not isinstance(listed, tuple) or not set(names) & set(listed):
        return
    if names != listed:
        raise DataError(
            f"{origin}: the card's list of labels must be in the dataset's order for the field "
            f"{field!r}, which is {', '.join(names)}; the card has {', '.join(listed)}. Mend the "
            "card's `sources: hub: labels:`."
        )


def _named(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    good = isinstance(value, int) and 0 <= value < len(names)
    return names[value] if good else value
