"""Of which class an error is: what it says, and what failed below it."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from sweeper.errors import (
    AbsentError,
    DamageError,
    DataError,
    ModelError,
    StoreError,
    UnreachableError,
)
from sweeper.jobs import Preempted, Pruned
from sweeper.training.causes import classify


class TransportError(Exception):
    """As httpx names what a network does."""


class ConnectError(TransportError):
    pass


class OfflineModeIsEnabled(ConnectionError):
    """As the hub's library says that it was told not to ask."""


class Answered(Exception):
    """As the hub's library raises an answer of a server."""

    def __init__(self, status: int) -> None:
        self.response = SimpleNamespace(status_code=status)


def told(said: Exception, cause: Exception, *, hidden: bool = False) -> Exception:
    """An error as our modules say it: with what was below it, or ``from None``."""
    try:
        try:
            raise cause
        except Exception as error:
            raise said from (None if hidden else error)
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError("refused"), "store"),
        (UnreachableError("S3 failed 4 times in a row"), "infrastructure"),
        (DamageError("a.0", "flipped"), "damaged"),
        (AbsentError("no such file"), "data"),
        (ModelError("other labels"), "model"),
        (Preempted(""), "preempted"),
        (Pruned(""), "pruned"),
        (OSError(errno.EIO, "Input/output error"), "infrastructure"),
        (ValueError("3"), "bug"),
    ],
)
def test_an_error_is_of_the_class_that_it_says(error: Exception, kind: str) -> None:
    assert classify(error) == kind


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("said", [DataError, ModelError])
@pytest.mark.parametrize(
    "cause",
    [
        ConnectionError("Couldn't reach 'x' on the Hub"),
        TimeoutError(),
        ConnectError(),
        OSError(errno.ESTALE, "Stale file handle"),
        Answered(503),
        Answered(429),
    ],
    ids=repr,
)
def test_a_network_that_kept_data_or_a_model_from_us_may_be_back(
    said: type[Exception], cause: Exception, hidden: bool
) -> None:
    assert classify(told(said("cannot be loaded"), cause, hidden=hidden)) == "infrastructure"
    below = told(OSError("We couldn't connect"), cause)
    assert classify(told(said("cannot be loaded"), below, hidden=hidden)) == "infrastructure"


@pytest.mark.parametrize(
    "cause",
    [
        FileNotFoundError(errno.ENOENT, "No such file"),
        OSError("it has no file named config.json"),
        Answered(404),
        Answered(401),
        ValueError("no such config"),
        OfflineModeIsEnabled("HF_HUB_OFFLINE"),
    ],
    ids=repr,
)
def test_what_is_wrong_stays_wrong(cause: Exception) -> None:
    assert classify(told(DataError("cannot be loaded"), cause)) == "data"
    below = told(ConnectionError("no") if isinstance(cause, OfflineModeIsEnabled) else OSError(),
                 cause)  # fmt: skip
    assert classify(told(ModelError("cannot be loaded"), below, hidden=True)) == "model"
