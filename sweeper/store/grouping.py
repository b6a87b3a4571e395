"""Items in groups of what is read at once, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def in_groups(
    items: Iterable[Item], most: int, weight: Callable[[Item], int] = lambda item: 1
) -> Iterator[list[Item]]:
    """Items in their order, in groups that each end with the item that brings them to ``most``.

    Args:
        items: What is to be read.
        most: What the weights of a group add up to, at least, but for the last one.
        weight: Of an item: its rows or bytes; by default items are counted.
    """
    group: list[Item] = []
    total = 0
    for item in items:
        group.append(item)
        total += weight(item)
        if total >= most:
            yield group
            group, total = [], 0
    if group:
        yield group
