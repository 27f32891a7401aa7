"""Files on a loopback port for the browser of this machine: a few names, made on demand, and nothing else of the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from backendcheck.errors import UsageError

HOST = "127.0.0.1"
_TYPES = {
    "html": "text/html", "json": "application/json", "sarif": "application/json", "xml": "application/xml", "md": "text/plain",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One file as it is sent. `version` is another once the content is."""

    content: bytes
    version: str


class Files(Protocol):
    """The files that a server has."""

    @property
    def names(self) -> frozenset[str]:
        """Their names; every other name is not found."""

    def version(self, name: str) -> str:
        """The version that `read` would return. It is asked for every two seconds."""

    def read(self, name: str) -> Served:
        """A file of `names`."""


def server_of(files: Files, port: int) -> ThreadingHTTPServer:
    """A server of `files` on a port of 127.0.0.1; 0 takes a free one. It answers browsers of this machine alone.

    Raises:
        UsageError: if the port cannot be used.
    """

    class Handler(_Handler):
        pass

    Handler.files = files
    try:
        server = _Server((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        message = f"--port {port}: cannot be used on {HOST} ({reason}). Choose another, or leave it out for a free one."
        raise UsageError(message) from error
    Handler.hosts = frozenset(f"{name}:{server.server_port}" for name in (HOST, "localhost"))
    return server


def serve(server: ThreadingHTTPServer) -> None:
    """Answer until Ctrl-C or SIGTERM."""
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.2)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a page that is being made must not delay the end

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser may close a connection at any time."""


class _Handler(BaseHTTPRequestHandler):
    files: Files
    hosts: frozenset[str] = frozenset()
    server_version = "backendcheck"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(self.files.read)

    def do_HEAD(self) -> None:
        self._answer(lambda name: Served(content=b"", version=self.files.version(name)))

    def _answer(self, read: Callable[[str], Served]) -> None:
        # Another site may give its own name the address 127.0.0.1, and would then read the page as a part of itself.
        if self.headers.get("Host", "") not in self.hosts:
            self._send(HTTPStatus.FORBIDDEN, b"This server answers http://127.0.0.1 alone.\n", "text/plain")
            return
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        if name not in self.files.names:
            listed = ", ".join(sorted(self.files.names))
            self._send(HTTPStatus.NOT_FOUND, f"Not found. This server has {listed}.\n".encode(), "text/plain")
            return
        served = read(name)
        self._send(HTTPStatus.OK, served.content, _TYPES[name.rpartition(".")[2]], served.version)

    def _send(self, status: HTTPStatus, content: bytes, content_type: str, version: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        if self.command == "GET":
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if version:
            self.send_header("ETag", f'"{version}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing for each request."""
