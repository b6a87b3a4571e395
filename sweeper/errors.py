"""Errors that say which rule was broken, by which value, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SweeperError(Exception):
    """Root of every error that sweeper raises on purpose; its text is written for a person."""


class StudyError(SweeperError):
    """The study or a task card says something that cannot be meant."""


class DataError(SweeperError):
    """A data file is missing, damaged, or breaks its card."""


class AbsentError(DataError):
    """A task's files are not there, or no data folder is given."""


class StoreError(SweeperError):
    """The store cannot be read or written as asked."""


class UnreachableError(StoreError):
    """The disk, network or service of a store failed in a way that may pass."""


class DamageError(StoreError):
    """What a marker names is gone or is not what was committed.

    ``marker`` is its name, ``<address>.<generation>``.
    """

    def __init__(self, marker: str, message: str) -> None:
        super().__init__(message)
        self.marker = marker


class ModelError(SweeperError):
    """The base model or a checkpoint cannot be used."""


class EngineError(SweeperError):
    """The sweep could not be started or finished."""


def nearest(name: str, known: Iterable[str], *, most: int = 5) -> str:
    """The tail of an unknown-name message where there are too many names for a menu.

    >>> nearest("train/xnil", ["train/xnli", "score/xnli", "tune/panx"], most=2)
    " Did you mean 'train/xnli'? Of 3 the nearest: train/xnli, score/xnli."
    """
    matcher = difflib.SequenceMatcher(b=name)
    ranked = []
    for one in set(known):
        matcher.set_seq1(one)
        ranked.append((-matcher.ratio(), one))
    near = sorted(ranked)[:most]
    guess = f" Did you mean {near[0][1]!r}?" if near and near[0][0] <= -0.5 else ""
    return f"{guess} Of {len(ranked)} the nearest: {', '.join(one for _, one in near) or 'none'}."


def suggest(name: str, known: Iterable[str], *, most: int = 20) -> str:
    """The tail of an unknown-name message: the nearest known name, then the menu.

    >>> suggest("xnil", ["xnli", "panx"])
    " Did you mean 'xnli'? Known: panx, xnli."
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    menu = ", ".join(names[:most]) or "none"
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return f"{guess} Known: {menu}{more}."
