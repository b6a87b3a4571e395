"""A cluster's job server: it runs commands on the head, and keeps what they print.

It is a part of Ray's dashboard on the head. Nothing of a job but its command, its name and what
is public of its environment is told to Ray; secrets travel in its parcel.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.engine.connecting import check_listens, first_line
from sweeper.engine.environment import hidden, runtime_env, secrets_for
from sweeper.engine.parcel import pack
from sweeper.errors import EngineError
from sweeper.study import Study

DEFAULT = "http://127.0.0.1:8265"
"""Where a head's job server listens, and, through a tunnel, a person's own machine."""

STOP_SECONDS = 600
"""How long a job that is asked to stop may save before it is killed; Ray's default is 3 s."""

_LOOK_SECONDS = 0.2
_LEADS_ASTRAY = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")  # to Ray they count more than we do
_UPLOADS = "ray.dashboard.modules.dashboard_sdk"
_PROGRAM = ("python3", "-m", "sweeper.cli.aboard")


@dataclass(frozen=True)
class Submitted:
    """A job of the server's that `sweeper` submitted.

    ``state`` is PENDING, RUNNING, SUCCEEDED, STOPPED or FAILED, ``message`` what Ray says of it;
    ``about`` is what it was submitted with.
    """

    id: str
    state: str
    message: str
    about: Mapping[str, str]
    started: float
    exit_code: int | None

    @property
    def lives(self) -> bool:
        """Whether it is to run or runs."""
        return self.state in ("PENDING", "RUNNING")


class JobServer:
    """The job server at an address, such as ``http://127.0.0.1:8265``.

    Raises:
        EngineError: it cannot be reached, or the token is not its own; every method raises it,
            too, if the server refuses.
    """

    def __init__(self, address: str = DEFAULT) -> None:
        self.address = address
        if not address.startswith(("http://", "https://")):
            raise EngineError(
                f"A job server's address begins with http://, and {address!r} does not. It is "
                f"that of the head's dashboard, such as {DEFAULT} (see cluster/README.md)."
            )
        sdk = _sdk()
        with self._explained(), hidden(_LEADS_ASTRAY):
            check_listens(address)
            self._client = sdk.JobSubmissionClient(address)

    def submit(
        self,
        name: str,
        arguments: Sequence[str],
        study: Study | None,
        secrets: Mapping[str, str],
        about: Mapping[str, str],
    ) -> str:
        """Run ``sweeper ARGUMENTS`` on the head; returns the job's name, ``<name>-<number>``.

        Args:
            name: What jobs of the kind are called.
            arguments: Of the command; `sweeper.engine.parcel.STUDY` is the study's file there.
            study: Travels with it, with its cards.
            secrets: Environment variables that it needs and Ray is not to see.
            about: What `jobs` tells of it.
        """
        with self._explained(), tempfile.TemporaryDirectory(prefix="sweeper-") as folder:
            taken = {job.id for job in self.jobs()}
            number = 1
            while f"{name}-{number}" in taken:
                number += 1
            pack(Path(folder), study, secrets, f"{name}-{number}")
            sent = runtime_env()
            sent["working_dir"] = folder
            sent["env_vars"] |= {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}
            # The shell gives way to the program, so that a signal reaches that and only once.
            command = f"exec {shlex.join([*_PROGRAM, *arguments])}"
            made: str = self._client.submit_job(
                entrypoint=command,
                submission_id=f"{name}-{number}",
                runtime_env=sent,
                metadata=dict(about),
            )
            return made

    def jobs(self) -> list[Submitted]:
        """All jobs that `sweeper` submitted, the latest first."""
        with self._explained():
            found = [_submitted(job) for job in self._client.list_jobs() if job.submission_id]
        ours = [job for job in found if "sweeper" in job.about]
        return sorted(ours, key=lambda job: -job.started)

    def job(self, name: str) -> Submitted:
        """A job as it is now."""
        with self._explained():
            return _submitted(self._client.get_job_info(name))

    def log(self, name: str) -> str:
        """What a job has printed so far; before it runs, what Ray says of it."""
        with self._explained():
            text: str = self._client.get_job_logs(name)
        own = _after_preamble(text)
        return text if own is None else own

    def follow(self, name: str, tell: Callable[[str], object]) -> Submitted:
        """Tell what a job prints, in whole lines, until it has ended; returns how it ended."""

        async def follow() -> None:
            runs, held = False, ""
            async for text in self._client.tail_job_logs(name):
                if runs:
                    tell(text)
                    continue
                held += text
                own = _after_preamble(held)
                if own is not None:
                    runs = True
                    tell(own)

        with self._explained():
            asyncio.run(follow())
        while (job := self.job(name)).lives:  # the last line is told before Ray writes its end
            time.sleep(_LOOK_SECONDS)
        return job

    def there(
        self,
        arguments: Sequence[str],
        store: str,
        study: Study | None,
        tell: Callable[[str], object],
    ) -> int:
        """Run a command on the head, telling what it prints; returns its exit code.

        Args:
            arguments: As of `submit`.
            store: What it looks at, or "".
            study: Travels with it.
            tell: Takes whole lines.

        Raises:
            EngineError: it never began.
        """
        name = f"sweeper-{arguments[0]}"
        about = {"sweeper": arguments[0]}
        job = self.follow(self.submit(name, arguments, study, secrets_for(store), about), tell)
        if job.exit_code is None:
            raise EngineError(
                f"`sweeper {arguments[0]}` did not run on the cluster: {job.message.strip()} "
                "Check that sweeper's libraries are installed on the head."
            )
        return job.exit_code

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        import aiohttp
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise EngineError(
                f"The job server at {self.address} refuses the token: {first_line(error)}. Set "
                "RAY_AUTH_TOKEN to the head's token and RAY_AUTH_MODE=token (see "
                "cluster/README.md)."
            ) from None
        except (
            OSError, RuntimeError, ValueError, requests.RequestException, aiohttp.ClientError
        ) as error:  # fmt: skip
            raise EngineError(
                f"The job server at {self.address} failed: {first_line(error)}. Check that it "
                "is one: http:// and the port of the head's dashboard (8265), through a tunnel "
                "from elsewhere (see cluster/README.md). It needs the extra `submit` on the head."
            ) from None


def _after_preamble(text: str) -> str | None:
    """What a job printed itself: Ray's log of it begins with Ray's own lines. None: nothing."""
    _, begun, rest = text.partition("Running entrypoint for job ")
    return rest.partition("\n")[2] if begun else None


def _submitted(job: Any) -> Submitted:
    return Submitted(
        id=job.submission_id,
        state=str(job.status),
        message=job.message or "",
        about=job.metadata or {},
        started=(job.start_time or 0) / 1000,
        exit_code=job.driver_exit_code,
    )


def _sdk() -> Any:
    try:
        import aiohttp  # noqa: F401  (which Ray would do without, until it follows a log)
        from ray import job_submission
    except ImportError as error:
        raise EngineError(
            f"To submit to a cluster needs the package {error.name}, which is not installed. "
            "Install it: pip install 'sweeper[submit]'."
        ) from None
    for name in ("ray", job_submission.JobSubmissionClient.__module__, _UPLOADS):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they set levels of their own
    return job_submission
