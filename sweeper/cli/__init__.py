"""The ``sweeper`` command: thin commands over the Python API.

Each command imports what it needs when it runs, so that ``--help`` and ``plan`` stay quick.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

import typer

from sweeper.cli.words import app
from sweeper.errors import SweeperError
from sweeper.redaction import redacted

# In the order of --help.
from sweeper.cli import (  # isort: skip
    beginning, sweeps, submitting, doctor, answers, reports, queries, exports, tasks, cleaning,
    stores,
)  # fmt: skip

__all__ = [
    "answers",
    "app",
    "beginning",
    "cleaning",
    "doctor",
    "exports",
    "main",
    "queries",
    "reports",
    "stores",
    "submitting",
    "sweeps",
    "tasks",
]


def main() -> NoReturn:
    """Run the command line; exits with 0, 1 (an error), 2 (wrong usage), 130 or 143 (stopped)."""
    # A plan and its markers are very many objects that stay: looking for garbage among them every
    # few hundred allocations took an eighth of an answer's time.
    gc.set_threshold(100_000)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ± is no reason to fail
    try:
        app()
    except SweeperError as error:
        typer.echo(f"error: {redacted(str(error))}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; nothing more may be written, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
