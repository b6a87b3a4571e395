"""Of which class an error is, which decides whether its job is tried again."""

from __future__ import annotations

import errno

import torch
from safetensors import SafetensorError

from sweeper.errors import DamageError, DataError, ModelError, StoreError, UnreachableError
from sweeper.jobs import Interrupted, Preempted
from sweeper.training.memory import OutOfMemory, ran_out

_DISK = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EREMOTEIO}
"""What a disk or a file server says that fails, where a file that is not there is `ENOENT`."""

_NETWORK = {"TransportError", "ConnectionError", "Timeout", "TimeoutError"}
"""Python's, httpx's and requests' words for a network that fails: not all are installed."""

_BUSY = {408, 429}
"""HTTP statuses, besides those of a server's own errors, after which another try may do."""


def classify(error: BaseException) -> str:
    """The class of an error, which decides whether its job is tried again.

    ``data`` and ``model``: what the job reads is missing or wrong. ``damaged``: what another job
    made is no longer what was committed. ``store``: the store cannot be written, so that no job
    can end. ``out_of_memory``: a smaller piece may fit the device. ``preempted``: the process is
    taken away. ``pruned``: no error. ``infrastructure``: the system's or the network's, likely to
    pass, also where it kept data or a model from us, or memory that ran out where nothing can be
    made smaller. ``bug``: everything else.
    """
    if isinstance(error, Interrupted):
        return "preempted" if isinstance(error, Preempted) else "pruned"
    if isinstance(error, OutOfMemory):
        return "out_of_memory"
    if isinstance(error, DataError | ModelError) and _may_pass(error):
        return "infrastructure"
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, DamageError):
        return "damaged"
    if isinstance(error, UnreachableError):
        return "infrastructure"
    if isinstance(error, StoreError):
        return "store"
    if isinstance(error, ModelError):
        return "model"
    if isinstance(error, OSError | SafetensorError | torch.AcceleratorError) or ran_out(error):
        return "infrastructure"
    return "bug"


def _may_pass(error: BaseException) -> bool:
    """Whether a network, a server or a disk failed below what is told of an error."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if any(type(cause).__name__ == "OfflineModeIsEnabled" for cause in causes):
        return False  # nobody was asked, and nobody will be
    return any(map(_passes, causes))


def _passes(error: BaseException) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status >= 500 or status in _BUSY
    names = {base.__name__ for base in type(error).__mro__}
    return bool(names & _NETWORK) or (isinstance(error, OSError) and error.errno in _DISK)
