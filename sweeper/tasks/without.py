"""Lists of documents that a split leaves out, so that it shares nothing with a task's test data.

A list is a file of hashes, one per document, that says nothing about the documents themselves.
"""

from __future__ import annotations

import hashlib
import unicodedata
from functools import cache
from pathlib import Path

from sweeper.errors import StudyError, suggest

FOLDER = Path(__file__).parent / "cards" / "without"


def names() -> tuple[str, ...]:
    """The names of the lists that come with sweeper."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


@cache
def listed(name: str) -> frozenset[str]:
    """The `mark` of every document of a list; `StudyError` if there is no such list."""
    if name not in names():
        raise StudyError(f"There is no list of documents {name!r}.{suggest(name, names())}")
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def mark(document: str) -> str:
    """16 hexadecimal digits that stand for a text, whatever its spaces and Unicode form."""
    plain = " ".join(unicodedata.normalize("NFKC", document).split())
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()[:16]
