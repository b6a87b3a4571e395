"""A proxy before an HTTP server that fails some requests, before or after they were executed.

A fault is drawn for a share of the requests: a 500, a 503 that asks to slow down, no answer at
all until the client gives up, a dropped connection, or an answer that is cut off in its middle.
Half of them come after the server has executed the request: the client cannot tell which.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("500", "503", "hang", "drop", "cut")

_ANSWERS = {
    "500": (500, b"<Error><Code>InternalError</Code><Message>flaky</Message></Error>"),
    "503": (503, b"<Error><Code>SlowDown</Code><Message>flaky</Message></Error>"),
    "403": (403, b"<Error><Code>AccessDenied</Code><Message>flaky</Message></Error>"),
    "409": (409, b"<Error><Code>ConditionalRequestConflict</Code></Error>"),
}


class Flaky:
    """What goes wrong, drawn from a seed.

    Attributes:
        script: Faults of the next requests, instead of draws; see `draw`.
        deaf: Headers (lower case) that do not reach the server.
        made: How many of which fault there were.
        seen: How many requests.

    Args:
        server: The URL of the server behind the proxy.
        share: Of the requests, that fail.
        seed: Of the draws. Which request gets which draw is up to the threads.
        hang: Seconds until a request without an answer is dropped: more than clients wait.
    """

    def __init__(self, server: str, share: float, seed: int, hang: float) -> None:
        self.server = urlsplit(server).netloc
        self.hang = hang
        self.over = threading.Event()
        self._lock = threading.Lock()
        self.reset(seed, share)

    def reset(self, seed: int, share: float = 0.0) -> None:
        """Begin anew."""
        self.share = share
        self.script: list[tuple[str, bool]] = []
        self.deaf = {"expect"}
        self.made: Counter[str] = Counter()
        self.seen = 0
        self._chance = random.Random(seed)

    def draw(self) -> tuple[str, bool]:
        """A fault ("" for none), and whether it comes after the request was executed."""
        with self._lock:
            self.seen += 1
            failed, after = self._chance.random() < self.share, self._chance.random() < 0.5
            fault = self._chance.choice(FAULTS) if failed else ""
            if self.script:
                fault, after = self.script.pop(0)
            after |= fault == "cut"
            if fault:
                self.made[f"{fault} {'after' if after else 'before'}"] += 1
            return fault, after


@contextmanager
def flaky(
    server: str, share: float = 0.05, seed: int = 0, hang: float = 5.0
) -> Iterator[tuple[str, Flaky]]:
    """Run the proxy; yields its URL, and what it does. See `Flaky` for the arguments."""
    faults = Flaky(server, share, seed, hang)

    class Handler(_Handler):
        flaky = faults

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}", faults
    finally:
        faults.over.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    flaky: Flaky

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault, after = self.flaky.draw()
        if fault and not after:
            self._fail(fault)
            return
        status, headers, content = self._forward(body)
        if fault and not (fault == "cut" and content):
            self._fail(fault)
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault else content)
        self.close_connection = bool(fault)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        behind = http.client.HTTPConnection(self.flaky.server, timeout=60)
        try:
            deaf = self.flaky.deaf
            headers = {k: v for k, v in self.headers.items() if k.lower() not in deaf}
            behind.request(self.command, self.path, body, headers)
            answer = behind.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            behind.close()

    def _fail(self, fault: str) -> None:
        self.close_connection = True
        if fault == "hang":
            self.flaky.over.wait(self.flaky.hang)
        if fault not in _ANSWERS:
            return
        status, content = _ANSWERS[fault]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
