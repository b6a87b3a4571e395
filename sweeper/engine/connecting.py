"""Ray, started in process or reached at an address; and what to say where it cannot be."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator

from sweeper.cores import cores_here
from sweeper.engine.daemons import apart, missed
from sweeper.engine.environment import runtime_env
from sweeper.errors import EngineError

_SECONDS = 10.0

# Read by Ray when it is imported: no usage statistics over the network, no progress tables and no
# handler of Ctrl-C of its own, no log lines of other processes on this terminal, and no saving of
# Tune's own state, which grows with every job and is never restored.
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_INIT": "1",
    "TUNE_WARN_THRESHOLD_S": "5",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
}
# Of 20 tries each lasts 40 s where something listens that is not Ray.
_TO_CLUSTERS = {"RAY_NUM_REDIS_GET_RETRIES": "3"}


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Ray, started in process or reached at an address, for as long as the block lasts.

    Raises:
        EngineError: it could not be started or reached.
    """
    if address is not None:
        _check_sort(address)
    for name, value in (RAY_SETTINGS | (_TO_CLUSTERS if address else {})).items():
        os.environ.setdefault(name, value)
    # What becomes of a dead worker's job is said by us, in a sentence.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    import ray
    from ray.exceptions import RayError

    ours = not ray.is_initialized()
    alone = ours and address is None
    if ours:
        try:
            if address:
                check_listens(address)
            with apart() if alone else contextlib.nullcontext():
                ray.init(
                    # "local": a cluster that this host belongs to is used only when it is named.
                    address=address or "local",
                    num_cpus=None if address else cores_here(),
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env=runtime_env() if address else None,
                )
        except (OSError, RayError, RuntimeError, ValueError) as error:
            raise EngineError(_unreachable(address, error)) from error
    try:
        here = ray.get_runtime_context().gcs_address
        with missed(here) if alone else contextlib.nullcontext():
            yield
    finally:
        if ours:
            ray.shutdown()


def _check_sort(address: str) -> None:
    """Refuse what is no address of Ray's own, before Ray makes something else of it."""
    if "://" in address:
        raise EngineError(
            "The address of a cluster is its head's HOST:6379, or auto on a host of it; "
            f"{address!r} is none. That of a job server (http://...) is for `sweeper submit`."
        )
    if not address.strip():
        raise EngineError(
            "The address of a cluster is its head's HOST:6379, or auto on a host of it, and it is "
            "empty. Give it, or leave --address out to run on this machine."
        )


def check_listens(address: str) -> None:
    """Look whether anybody listens at ``host:port`` or ``http://host:port``.

    Ray itself would try for minutes. What is no such address is left to Ray.

    Raises:
        OSError: nobody does.
    """
    place = re.sub("^https?://", "", address).rstrip("/")
    host, _, port = place.rpartition(":")
    if "://" not in place and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()


def first_line(error: Exception) -> str:
    """What an error says, in one line without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _unreachable(address: str | None, error: Exception) -> str:
    if address is None:
        return f"Ray could not be started on this machine: {first_line(error)}."
    if "Version mismatch" in str(error):
        return (
            f"This host and the cluster at {address!r} must have the same Ray and Python. "
            f"{' '.join(str(error).split())} Install the same here and there: `pip install -c "
            "constraints.txt .` (see cluster/README.md)."
        )
    return (
        f"Ray could not be reached at {address!r}: {first_line(error)}. Check that the cluster "
        "runs (`ray status` on its head), the address, and that RAY_AUTH_TOKEN is the head's "
        "token (see cluster/README.md)."
    )
