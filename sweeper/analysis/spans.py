"""Spans of tagged sentences, counted sentence by sentence, in arrays: files have many tags.

The same spans as `sweeper.tasks.metrics.tagging.spans` reads one by one, oddities included.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def span_counts(gold: pa.ChunkedArray, predicted: pa.ChunkedArray) -> tuple[Counts, Counts]:
    """Per sentence: the spans that both sides have, and all spans of both sides.

    Args:
        gold: Tags joined by spaces, a sentence each.
        predicted: The same, with as many tags.
    """
    words = [pc.split_pattern(_plain(side), " ") for side in (gold, predicted)]
    tags = pa.concat_arrays([pc.list_flatten(side) for side in words]).dictionary_encode()
    codes = tags.indices.to_numpy()
    lengths = pc.list_value_length(words[0]).to_numpy()
    count = len(lengths)
    half = int(lengths.sum())
    known = tags.dictionary.to_pylist()
    right, right_of = _spans(codes[:half], known, lengths)
    given, given_of = _spans(codes[half:], known, lengths)
    hits = np.isin(right, given, assume_unique=True)
    both = np.bincount(right_of, minlength=count) + np.bincount(given_of, minlength=count)
    return np.bincount(right_of[hits], minlength=count), both


def _plain(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def _spans(
    codes: NDArray[np.int32], known: list[str], lengths: Counts
) -> tuple[NDArray[np.uint64], Counts]:
    """Spans as one number each (type, first, last), and the sentence that each ends in."""
    marks = np.array([*(tag[0] for tag in known), "O"])
    names = [*(tag[1:].split("-", maxsplit=1)[-1] or "_" for tag in known), "_"]
    _, kinds = np.unique(names, return_inverse=True)
    ends_of = np.cumsum(lengths + 1)  # an O after each sentence
    padded = np.full(int(ends_of[-1]) if len(ends_of) else 0, len(known))
    inside = np.ones(len(padded), bool)
    inside[ends_of - 1] = False
    padded[inside] = codes
    mark, kind = marks[padded], kinds[padded]
    before = np.concatenate([["O"], mark[:-1]])
    changed = np.concatenate([[True], kind[1:] != kind[:-1]])
    ends = np.isin(before, ["E", "S"])
    ends |= np.isin(before, ["B", "I"]) & np.isin(mark, ["B", "S", "O"])
    ends |= ~np.isin(before, ["O", "."]) & changed
    starts = np.isin(mark, ["B", "S"])
    starts |= np.isin(before, ["E", "S", "O"]) & np.isin(mark, ["E", "I"])
    starts |= ~np.isin(mark, ["O", "."]) & changed
    place = np.arange(len(padded))
    first = np.maximum.accumulate(np.where(starts, place, 0))
    last = place[ends] - 1  # a span ends before the word at which that is seen
    size = np.uint64(len(padded) + 1)
    number = kind[last].astype(np.uint64) * size + first[last].astype(np.uint64)
    owner = np.repeat(np.arange(len(lengths)), lengths + 1)
    return number * size + last.astype(np.uint64), owner[last]
