"""Takes tokens, keys and passwords out of texts that are kept, printed or exported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

HIDDEN = "***"

_NAMES = re.compile(
    r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(API|ACCESS|PRIVATE|ACCOUNT)_?KEY)"
    r"(_|$)",
    re.IGNORECASE,
)
"""Of environment variables whose values are secret."""

_SHORTEST = 8
"""Characters: a shorter value is a switch or a name, and would blot out words."""

_FILES = {
    "HF_TOKEN_PATH": "~/.cache/huggingface/token",
    "RAY_AUTH_TOKEN_PATH": "~/.ray/auth_token",
}
"""Variable -> the file, by default, that holds a token."""

_REMEMBERED: set[str] = set()

_SHAPES = (
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),  # user and password in an address
    re.compile(
        r"(?i)(?<=[?&])((?:[\w.-]*(?:token|signature|credential|key|secret)|sig)=)[^&\s'\"]+"
    ),
    re.compile(r"(?i)((?:authorization\W{1,4})?\b(?:bearer|basic) )[\w.~+/=-]{8,}"),
    re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
)
"""What a secret looks like wherever it comes from; a group is kept."""


def redacted(text: str) -> str:
    """The text with every secret that we know, or that looks like one, as ``***``."""
    for secret in sorted(_known(), key=len, reverse=True):  # one may be part of another
        for written in (secret, quote(secret, safe="")):
            text = text.replace(written, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(lambda found: (found.group(1) if found.lastindex else "") + HIDDEN, text)
    return text


@contextmanager
def remembering(secrets: Iterable[str]) -> Iterator[None]:
    """Know secrets that are not in this process's environment, for as long as the block lasts."""
    new = {secret for secret in secrets if len(secret) >= _SHORTEST} - _REMEMBERED
    _REMEMBERED.update(new)
    try:
        yield
    finally:
        _REMEMBERED.difference_update(new)


def _known() -> Iterator[str]:
    """The secrets of this process: in its environment, and in the files where libraries look."""
    yield from tuple(_REMEMBERED)
    for name, value in os.environ.items():
        # The path of a file with credentials is none.
        if _NAMES.search(name) and len(value) >= _SHORTEST and not value.startswith(("/", "~")):
            yield value
    for name, default in _FILES.items():
        with suppress(OSError, UnicodeDecodeError):
            token = Path(os.environ.get(name, default)).expanduser().read_text().strip()
            if len(token) >= _SHORTEST:
                yield token
