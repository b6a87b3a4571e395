"""The part of GCS's JSON API that a store needs, on this machine; no such server can be installed.

Uploads are whole or not at all, ``ifGenerationMatch=0`` refuses to overwrite (412), a list comes
in pages.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    started: dict[str, tuple[str, bytearray, bool]]
    lock: threading.Lock

    def _handle(self) -> None:
        said = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(said.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.fullmatch(r"(/upload|/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?", said.path)
        if not found or found[2] != "sweeps":
            self._answer(404)
            return
        name = unquote(found[3] or "")
        with self.lock:
            if found[1] == "/upload":
                self._upload(query, body)
            elif self.command == "GET" and not name:
                self._list(query)
            elif name not in self.objects:
                self._answer(404)
            elif self.command == "DELETE":
                del self.objects[name]
                self._answer(204)
            elif found[1] == "/download":
                self._download(self.objects[name])
            else:
                self._answer(200, self._about(name))

    do_GET = do_POST = do_DELETE = _handle

    def _upload(self, query: dict[str, str], body: bytes) -> None:
        exclusive = query.get("ifGenerationMatch") == "0"
        if query["uploadType"] == "multipart":
            _, about, content, _ = body.split(b"--==0==", 3)
            name = json.loads(about.split(b"\n\n", 1)[1])["name"]
            self._put(name, content.split(b"\n\n", 1)[1].removesuffix(b"\n"), exclusive)
        elif "upload_id" not in query:
            number = str(len(self.started))
            self.started[number] = (json.loads(body)["name"], bytearray(), exclusive)
            place = f"http://{self.headers['Host']}{self.path}&upload_id={number}"
            self._answer(200, {}, Location=place)
        else:
            name, content, exclusive = self.started[query["upload_id"]]
            content += body
            _, end, size = map(int, re.findall(r"\d+", self.headers["Content-Range"]))
            if end + 1 == size:
                self._put(name, bytes(content), exclusive)
            else:
                self._answer(308, None, Range=f"bytes=0-{end}")

    def _put(self, name: str, content: bytes, exclusive: bool) -> None:
        if exclusive and name in self.objects:
            self._answer(412)
            return
        self.objects[name] = content
        self._answer(200, self._about(name))

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        names = sorted(name for name in self.objects if name.startswith(prefix))
        if delimiter:
            deeper = {name for name in names if delimiter in name[len(prefix) :]}
            cut = {prefix + name[len(prefix) :].split(delimiter)[0] + delimiter for name in deeper}
            files = [self._about(name) for name in names if name not in deeper]
            self._answer(200, {"items": files, "prefixes": sorted(cut)})
            return
        start = int(query.get("pageToken", 0))
        page: dict[str, Any] = {"kind": "storage#objects"}
        page["items"] = [self._about(name) for name in names[start : start + PAGE]]
        if start + PAGE < len(names):
            page["nextPageToken"] = str(start + PAGE)
        self._answer(200, page)

    def _about(self, name: str) -> dict[str, Any]:
        content = self.objects[name]
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        return {"name": name, "bucket": "sweeps", "size": str(len(content)), "md5Hash": md5}

    def _download(self, content: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if wanted and int(wanted[1]) >= len(content):
            self._answer(416)
            return
        part = content[int(wanted[1]) : int(wanted[2]) + 1] if wanted else content
        self._send(206 if wanted else 200, part, {})

    def _answer(self, status: int, data: Any = None, **headers: str) -> None:
        content = b"" if data is None else json.dumps(data).encode()
        self._send(status, content, headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def gcs_server() -> Iterator[str]:
    """A server with an empty bucket, "sweeps"; yields its URL."""
    own = {"objects": {}, "started": {}, "lock": threading.Lock()}
    handler = type("Handler", (_Handler,), own)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
