"""What of the driver's environment its workers have, and how no secret of it gets into a log."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sweeper.redaction import remembering
from sweeper.store import services
from sweeper.store.files import StoreFiles


def runtime_env() -> dict[str, Any]:
    """Brings this very sweeper to every node of a cluster, and the user's settings with it."""
    package = Path(__file__).parent.parent
    passed = (
        "SWEEPER_DATA", "SWEEPER_CACHE", "SWEEPER_CACHE_GB", "HF_HOME", "HF_HUB_OFFLINE"
    )  # fmt: skip
    return {
        "py_modules": [str(package)],
        "env_vars": {name: os.environ[name] for name in passed if name in os.environ},
    }


def passed_on(files: StoreFiles) -> dict[str, str]:
    """What workers need to reach the store and the hub; never to be written anywhere."""
    return {**files.environment(), **_hub()}


def secrets_for(store: str) -> dict[str, str]:
    """The same for a driver elsewhere, of a store that may not be reached from here."""
    scheme, _, path = store.partition("://")
    return {**(services.environment(scheme) if path else {}), **_hub()}


def _hub() -> dict[str, str]:
    return {name: os.environ[name] for name in ("HF_TOKEN",) if name in os.environ}


TUNE_PASSES_ON = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"
)  # fmt: skip
"""Variables that Tune of itself puts into the runtime environment of its workers."""


@contextlib.contextmanager
def hidden(names: Iterable[str]) -> Iterator[None]:
    """Take secrets out of the environment; what was opened before has read them."""
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        with remembering(hidden.values()):
            yield
    finally:
        os.environ.update(hidden)
