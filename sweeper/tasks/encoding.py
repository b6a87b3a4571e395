"""Encoded units on disk: two Arrow files that every process maps into memory and none copies."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import DataError
from sweeper.tasks import kinds
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Encoded, Row, Tokenizer

if TYPE_CHECKING:
    import pyarrow as pa

ENCODING_VERSION: int = 2
"""Part of every address below prepared data: raise it when any encoded value changes."""

FEATURES, EXAMPLES = "features.arrow", "examples.arrow"


def prepare_unit(
    card: Card,
    split: str,
    language: str,
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    max_length: int,
    folder: Path,
    skipped: int = 0,
) -> Encoded:
    """Encode a unit's rows and write ``features.arrow`` and ``examples.arrow`` into ``folder``.

    The columns are described by `Kind.encode`. Both files are on the disk when this returns, and
    the same input gives the same bytes. ``skipped`` is the number of broken rows that were left
    out; the files' metadata says so.

    Raises:
        DataError: there is no row, or ``max_length`` leaves no room.
    """
    if not rows:
        raise DataError(
            f"The task {card.name!r} needs at least one row in the split {split!r} and the "
            f"language {language!r}; there is none. Raise the limit, or leave the language out."
        )
    encoded = kinds.get(card.kind).encode(rows, card, tokenizer, max_length)
    about = {
        "encoding": ENCODING_VERSION,
        "task": card.name,
        "kind": card.kind,
        "split": split,
        "language": language,
        "labels": list(card.labels),
        "max_length": max_length,
        **({"skipped": skipped} if skipped else {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / FEATURES, encoded.features, about)
    _write(folder / EXAMPLES, encoded.examples, about)
    _sync(folder)
    return encoded


def open_unit(folder: Path) -> Encoded:
    """The tables of a prepared unit, mapped into memory: opening costs the same for any size.

    Raises:
        DataError: a file is missing or damaged.
    """
    return Encoded(_map(folder / FEATURES), _map(folder / EXAMPLES))


def _write(path: Path, table: pa.Table, about: dict[str, object]) -> None:
    import pyarrow as pa

    schema = table.schema.with_metadata({"sweeper": json.dumps(about, sort_keys=True)})
    # One batch, so that a column is one array and row access costs no search among chunks.
    whole = table.combine_chunks().cast(schema)
    with path.open("wb") as stream:
        with pa.ipc.new_file(stream, schema) as writer:
            writer.write_table(whole)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Make the new file names durable too (not every system lets a folder be opened)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _map(path: Path) -> pa.Table:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).read_all()
    except FileNotFoundError:
        raise DataError(
            f"A prepared unit needs {path}, which is not there. Run the study again: it is "
            "prepared anew."
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"A prepared unit must be a whole Arrow file; {path} is not: {error}. Delete its "
            "folder and run the study again."
        ) from None
