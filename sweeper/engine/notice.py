"""What tells a worker that it is about to be taken away: SIGTERM, or its host being drained.

Ray's own answer to SIGTERM is to leave at once, in the middle of a step. A host that Ray drains (a
spot instance, a pod that is deleted) sends its workers no signal at all: at the end Ray's daemon
goes, and its workers with it. So they look for themselves.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without stubs

LOOK_SECONDS = 2.0
"""Between two looks at the cluster; one takes about a millisecond."""


class Notice:
    """Why this process is to end soon. Made on the main thread, where signals arrive.

    Args:
        busy: Whether there is something to save; while there is not, SIGTERM does what it did.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._why = ""
        self._looked = time.monotonic()
        self._cluster: GcsClient | None = None
        self._before = signal.signal(signal.SIGTERM, self._heard)

    def __call__(self) -> str:
        """Why this process is to end; "" as long as nothing says so."""
        if not self._why and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            if self._host_is_drained():
                self._why = "its host is being drained"
        return self._why

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._busy():
            self._why = "SIGTERM"
            return
        signal.signal(number, self._before)
        signal.raise_signal(number)

    def _host_is_drained(self) -> bool:
        here = ray.get_runtime_context()
        try:
            if self._cluster is None:
                self._cluster = GcsClient(address=here.gcs_address)
            return here.get_node_id() in self._cluster.get_draining_nodes(timeout=1)
        except ray.exceptions.RpcError:  # the cluster's head is away: nothing is known
            return False
