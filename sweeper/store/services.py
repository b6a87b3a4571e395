"""Asking S3 and GCS: with which client, what is tried again, and what a refusal means.

Each request is tried again by the service's own library (s3fs through botocore, gcsfs) after
500s, 503s, throttling, timeouts and dropped connections, with exponential backoff and jitter:
so one bad request does not repeat the others of a large file. What they do not try again is
tried again here, as a whole operation: an answer that was cut off while it was read, two writers
at one name at once (409), a multipart upload whose end was lost, and all that the library gave
up on. No message repeats the library's own words: they may hold an address with a password.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sweeper.errors import StoreError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Answer = TypeVar("Answer")

TRIES = 4
"""Of an operation, here; each request of it is tried `REQUEST_TRIES` times by the library."""

REQUEST_TRIES = 5


@dataclass(frozen=True)
class Service:
    """What differs between the services."""

    name: str
    library: str
    system: str  # its fsspec file system
    extra: str
    settings: dict[str, Any]  # of its client
    reading: dict[str, Any]  # of a read of a whole small file
    sending: dict[str, Any]  # of the upload of a file
    environment: tuple[str, ...]  # how its credentials are given, and where it is
    prefixes: tuple[str, ...]  # more of them, by how they begin
    credentials: str  # what to do where there are none


SERVICES = {
    "s3": Service(
        name="S3",
        library="s3fs",
        system="S3FileSystem",
        extra="s3",
        settings={
            "config_kwargs": {
                "retries": {"mode": "standard", "total_max_attempts": REQUEST_TRIES},
                "connect_timeout": 5,
                "read_timeout": 30,
                "max_pool_connections": 64,
            }
        },
        # Else s3fs asks for the size first, to read large files in parts.
        reading={"max_concurrency": 1},
        sending={"max_concurrency": 4},
        environment=(
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
        ),
        prefixes=("FSSPEC_S3",),
        credentials="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the host's role",
    ),
    "gs": Service(
        name="GCS",
        library="gcsfs",
        # Not gcsfs.GCSFileSystem, which first asks by gRPC of what experimental kind a bucket is.
        system="GCSFileSystem",
        extra="gs",
        settings={"requests_timeout": 30},
        reading={},
        sending={"consistency": "md5"},
        environment=("GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST"),
        prefixes=("FSSPEC_GS", "FSSPEC_GCS"),
        credentials="GOOGLE_APPLICATION_CREDENTIALS, or the host's service account",
    ),
}


def environment(scheme: str) -> dict[str, str]:
    """The variables of this process by which another host reaches a service as this one does.

    They hold secrets. None for what is no service's scheme.
    """
    service = SERVICES.get(scheme)
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if service and (name in service.environment or name.startswith(service.prefixes))
    }


class NoSuchRange(Exception):
    """The file is there, and shorter than what was asked for."""


class Client:
    """Operations of a service's fsspec file system, patiently, with errors that say what to do.

    Args:
        scheme: "s3" or "gs".
        address: The store's, for messages.

    Attributes:
        environment: The variables, of the time of its making, by which another host reaches the
            service as this one does.
    """

    def __init__(self, scheme: str, address: str) -> None:
        self.service = SERVICES[scheme]
        self.scheme = scheme
        self.address = address
        self.environment = environment(scheme)
        try:
            importlib.import_module(self.service.library)
        except ImportError:
            raise StoreError(
                f"A store at {scheme}:// needs the package {self.service.library}, which is not "
                f"installed. Install it: pip install 'sweeper[{self.service.extra}]'."
            ) from None

    def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the file system.

        Raises:
            FileExistsError, FileNotFoundError, NoSuchRange: the service says so.
            StoreError: it refuses.
            UnreachableError: it has failed again and again.
        """
        system = _system(self.scheme, os.getpid(), tuple(self.environment.items()))
        for tried in range(1, TRIES + 1):
            try:
                return getattr(system, method)(*args, **kwargs)
            except _errors(self.scheme) as error:
                kind, said = _judged(error)
                if kind == "exists":
                    raise FileExistsError from None
                if kind == "missing":
                    raise FileNotFoundError from None
                if kind == "range":
                    raise NoSuchRange from None
                if kind == "refused":
                    raise StoreError(self.message(kind, said)) from None
                if tried == TRIES:
                    raise UnreachableError(self.message(kind, said)) from None
            # Full jitter, so that workers which failed together do not come back together.
            time.sleep(random.uniform(0, 2.0 ** (tried - 1)))  # noqa: S311  (no secret)
        raise AssertionError

    def each(
        self, call: Callable[[Item], Answer], items: Iterable[Item], at_once: int = 32
    ) -> Iterator[Answer]:
        """Do the same for several items, many at once; the answers in the items' order."""
        several = list(items)
        if len(several) <= 1:
            return map(call, several)
        with ThreadPoolExecutor(min(at_once, len(several))) as pool:
            return iter(list(pool.map(call, several)))

    def message(self, kind: str, said: str) -> str:
        """What to do about an error of a kind and a name, as `_judged` gives them."""
        service = self.service
        if kind == "passing":
            return (
                f"{service.name} failed {TRIES} times in a row for {self.address} ({said}). What "
                "is committed is safe: check the network and the endpoint, and start the same "
                "run again."
            )
        if said in _NO_BUCKET:
            return (
                f"The bucket of {self.address} must be there, and is not. Make it, or mend the "
                "address (and the endpoint, if it is not the service's own)."
            )
        if said in _NO_CREDENTIALS:
            return (
                f"A store at {self.address} needs credentials, and there are none ({said}). Give "
                f"{service.credentials}; on a cluster, on every host or to the driver."
            )
        return (
            f"{service.name} refused what a store must be allowed at {self.address}: to read, "
            f"list, write and delete ({said}). Give {service.credentials} that may; what is "
            "committed is safe."
        )


@functools.cache
def _system(scheme: str, process: int, environment: Any) -> Any:
    """The file system of a process; one per environment, since that says where the service is.

    A fork has its own. Kept for good: the client of a parent process, closed in its fork, would
    end the parent's connections.
    """
    from fsspec.config import conf, set_conf_env

    now: dict[str, Any] = {}
    set_conf_env(now)  # FSSPEC_S3 and the like, which a worker is given after fsspec was imported
    service = SERVICES[scheme]
    settings = {**service.settings, **conf.get(scheme, {}), **now.get(scheme, {})}
    if scheme == "s3":
        settings["config_kwargs"] = {
            **service.settings["config_kwargs"],
            **settings["config_kwargs"],
        }
    else:
        import aiohttp

        # Of silence: a large file may well take longer.
        silent = aiohttp.ClientTimeout(sock_connect=5, sock_read=settings["requests_timeout"])
        settings["requests_timeout"] = silent
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs what it then raises
    system = getattr(importlib.import_module(f"{service.library}.core"), service.system)(
        **settings,
        use_listings_cache=False,  # markers of others are seen as soon as they are there
        skip_instance_cache=True,
    )
    system.retries = 1  # s3fs would try again what botocore has tried, times what is done here
    return system


@functools.cache
def _errors(scheme: str) -> tuple[type[Exception], ...]:
    """What a library's methods raise."""
    import aiohttp

    if scheme == "s3":
        from botocore.exceptions import BotoCoreError, ClientError

        return (OSError, BotoCoreError, ClientError, aiohttp.ClientError)
    from gcsfs.retry import ChecksumError, HttpError
    from google.auth.exceptions import GoogleAuthError

    return (OSError, HttpError, ChecksumError, GoogleAuthError, ValueError, aiohttp.ClientError)


_EXISTS = {"PreconditionFailed", "412"}
_RANGE = {"InvalidRange", "416"}
_PASSING = {
    "ConditionalRequestConflict", "OperationAborted", "NoSuchUpload", "RequestTimeout", "SlowDown",
    "InternalError", "ServiceUnavailable", "408", "409", "429", "500", "502", "503", "504",
}  # fmt: skip
_NO_BUCKET = {"NoSuchBucket", "InvalidBucketName", "ParamValidationError"}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}
_PASSING_TYPES = {
    "HTTPClientError", "ConnectionError", "IncompleteReadError", "FlexibleChecksumError",
    "ClientError", "TimeoutError", "Timeout", "ChecksumError", "TransportError",
    "ResponseParserError",
}  # fmt: skip
"""Of botocore, aiohttp, requests, google.auth and Python, by name: not all are installed."""


def _judged(error: Exception) -> tuple[str, str]:
    """What an error is - exists, missing, range, passing or refused - and its name."""
    code = _code(error)
    if isinstance(error, FileExistsError) or code in _EXISTS:
        return "exists", code
    if code in _RANGE:
        return "range", code
    if code in _PASSING:
        return "passing", code
    if code == "NoSuchBucket":
        return "refused", code
    if isinstance(error, FileNotFoundError):
        return "missing", code
    name = type(error).__name__
    if code or isinstance(error, PermissionError):
        return "refused", code or name
    if str(error).startswith("Forbidden"):  # gcsfs
        return "refused", "403"
    names = {base.__name__ for base in type(error).__mro__}
    return ("passing" if names & _PASSING_TYPES else "refused"), name


def _code(error: BaseException) -> str:
    """The service's own name of an error, or its HTTP status; "" if the service said nothing."""
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return "500" if status >= 500 else str(response.get("Error", {}).get("Code", ""))
        if type(cause).__name__ == "HttpError":  # gcsfs
            return str(getattr(cause, "code", ""))
        cause = cause.__cause__
    return ""
