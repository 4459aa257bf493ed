"""The one port of the local stack: REST by Chalice's local gateway, the UI's files beside it.

One rule: it serves this machine only. It binds to loopback, and refuses what a foreign web page
sends through the user's browser (wrong Host or Origin), for it may run without log-in.
"""

import argparse
import base64
import importlib
import mimetypes
import os
import re
import signal
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import LocalChalice, LocalGateway, LocalGatewayException

from chalicelib import wiring
from chalicelib.api.problems import no_such_route, problem
from chalicelib.domain.errors import StroemError
from chalicelib.workspaces.watching import LOOK_EVERY_S, Watcher
from infra.local import live_paths
from infra.local.places import ROOT
from infra.local.splice import Splicer
from infra.local.upgrade import Gateway, NoWayError, Refused

UI = ROOT / "web" / "dist"
# API Gateway's own limit on a request's body.
BODY_LIMIT = 10 * 1024 * 1024
MOST_DIGITS = 20
TOO_LONG = f"The body is over {BODY_LIMIT} bytes, which API Gateway refuses too"
REST = ("/api", "/worker", "/hooks", "/approvals", "/device", "/healthz", "/metrics")
# What stands behind it in a path lets whoever has it answer an approval.
LINKS = "/approvals/"
DEVICE = "/device"
# The query of these may hold a secret.
HOOKS = ("/hooks/", "/api/auth/")
LANDING = """<!doctype html><meta charset="utf-8"><title>Strøm for AWS, local</title>
<h1>Strøm for AWS runs on this machine</h1>
<p>The API answers under <a href="/api/workspaces">/api</a>, its health under
<a href="/healthz">/healthz</a>.
In a second terminal: <code>.venv/bin/stroem --help</code>.</p>
<p>The web interface is not built here (<code>web/dist</code> is absent).</p>
"""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """A request that gets `status` before it reaches the app."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Door(BaseHTTPRequestHandler):
    """One connection: keep-alive, each answer written at once."""

    protocol_version = "HTTP/1.1"
    # Without this the second of two segments waits for the first one's acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "FrontDoor"
    timeout = 75

    def _serve(self) -> None:
        started = time.perf_counter()
        try:
            self._check_target()
            body = self._body()
            self._check_origin()
            if live_paths.is_live(self.path):
                status, headers, content = self._live()
            else:
                status, headers, content = self._answer(body)
        except Refusal as refusal:
            self.close_connection = True
            status, headers, content = (
                refusal.status,
                {"Content-Type": "text/plain; charset=utf-8"},
                str(refusal),
            )
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            self._write(status, headers, content)
        taken_ms = (time.perf_counter() - started) * 1000
        path = f"{LINKS}…" if self.path.startswith(LINKS) else self.path
        path = path.partition("?")[0] if path.startswith(HOOKS) else live_paths.shown(path)
        print(f"{self.command} {path} {status} {taken_ms:.1f} ms", file=sys.stderr)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing: of a request that it does not understand, http.server shows the query."""

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        text = self.headers.get("Content-Length") or "0"
        if not text.isdecimal():
            raise Refusal(400, "Content-Length is no number")
        # Python refuses to read a number of thousands of digits.
        if len(text) > MOST_DIGITS or int(text) > BODY_LIMIT:
            raise Refusal(413, TOO_LONG)
        return self.rfile.read(int(text)) if int(text) else None

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := self._size_of_chunk():
            if len(body) + size > BODY_LIMIT:
                raise Refusal(413, TOO_LONG)
            body += self.rfile.read(size)
            self.rfile.readline(4)
        while self.rfile.readline(1024).strip():
            pass
        return bytes(body)

    def _size_of_chunk(self) -> int:
        text = self.rfile.readline(32).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", text):
            raise Refusal(400, "A chunk of the body does not begin with its size")
        return int(text, 16)

    def _check_target(self) -> None:
        # What names a server is for proxies, and would be told apart from our paths by nobody.
        if not self.path.startswith("/"):
            raise Refusal(400, "Ask for a path: this is no proxy")

    def _check_origin(self) -> None:
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        if host not in self.server.hosts:
            raise Refusal(
                403, f"This stack answers to {', '.join(sorted(self.server.hosts))} only"
            )
        if self.path.startswith((LINKS, DEVICE)):
            # Their pages hide where they are, so a browser gives `null`; the key is the link
            # itself, or the password that is filled in.
            return
        if origin is not None and origin.partition("://")[2] not in self.server.hosts:
            raise Refusal(403, "A page of another site may not use this stack")

    def _answer(self, body: bytes | None) -> tuple[int, dict[str, Any], str | bytes]:
        path = self.path.partition("?")[0]
        if not any(path == rest or path.startswith(f"{rest}/") for rest in REST):
            return self._file(path)
        try:
            response = self.server.gateway.handle_request(
                method=self.command, path=self.path, headers=dict(self.headers), body=body
            )
        except LocalGatewayException as error:
            if error.CODE != HTTPStatus.FORBIDDEN:
                return error.CODE, dict(error.headers), error.body or b""
            # What API Gateway says, and Chalice after it, where no route knows the path.
            unknown = no_such_route(str(uuid4()))
            return unknown.status_code, dict(unknown.headers), unknown.body
        headers = {**response["headers"], **response["multiValueHeaders"]}
        content = response["body"] or b""
        if response.get("isBase64Encoded"):
            content = base64.b64decode(content)
        return response["statusCode"], headers, content

    def _live(self) -> tuple[int, dict[str, Any], str | bytes]:
        """Hand the connection over to the splicer, or say why not."""
        query = live_paths.query_of(self.path)
        if query is None:
            return _refusal(404, "not-found", "Not found", "there is no such job")
        if self.command != "GET" or self.headers.get("Upgrade", "").lower() != "websocket":
            detail = "this path is for WebSocket connections: send `Upgrade: websocket`"
            status, headers, text = _refusal(426, "upgrade-required", "Upgrade required", detail)
            return status, {**headers, "Upgrade": "websocket"}, text
        # Whatever follows, it is no HTTP of ours any more.
        self.close_connection = True
        if self.server.live is None:
            detail = "this stack has no WebSocket API: deploy it again with ./dev up"
            return _refusal(503, "unavailable", "A service did not answer", detail)
        try:
            answer = self.server.live.open(query, self.headers.items())
        except NoWayError as error:
            return _refusal(502, "unavailable", "A service did not answer", str(error))
        if isinstance(answer, Refused):
            detail = "the connection was refused: ask for another ticket, or log in again"
            return _refusal(answer.status, "refused", "The connection was refused", detail)
        self.server.hand_over(self.connection, self._early(), answer.server, answer.said)
        return HTTPStatus.SWITCHING_PROTOCOLS, {}, b""

    def _early(self) -> bytes:
        """Return what the client has sent beyond its request, without waiting for any."""
        self.connection.settimeout(0)
        return self.rfile.read1(len(self.rfile.peek())) or b""

    def _file(self, path: str) -> tuple[int, dict[str, Any], str | bytes]:
        if self.command not in {"GET", "HEAD"}:
            raise Refusal(405, "Files can only be read")
        wanted = (UI / path.lstrip("/")).resolve()
        if not wanted.is_relative_to(UI) or not wanted.is_file():
            # A path without a file is a page of the single-page app.
            wanted = UI / "index.html"
        if not wanted.is_file():
            return (
                (200 if path == "/" else 404),
                {"Content-Type": "text/html; charset=utf-8"},
                LANDING,
            )
        kind = mimetypes.guess_type(wanted.name)[0] or "application/octet-stream"
        return 200, {"Content-Type": kind, "Cache-Control": "no-cache"}, wanted.read_bytes()

    def _write(self, status: int, headers: dict[str, Any], content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.send_response_only(status)
        if not any(name.lower() == "content-type" for name in headers):
            self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()


def _refusal(
    status: int, code: str, title: str, detail: str
) -> tuple[int, dict[str, Any], str | bytes]:
    answer = problem(status, code, title, detail, str(uuid4()))
    return answer.status_code, dict(answer.headers), answer.body


class FrontDoor(ThreadingHTTPServer):
    """A thread per connection; a long poll holds its own and nobody else's."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: Chalice, port: int) -> None:
        """Bind to 127.0.0.1 without serving yet. Port 0 takes a free one."""
        # Chalice keeps the current request on the app; this class keeps one for each thread.
        app.__class__ = LocalChalice
        config = Config.create(chalice_app=app, project_dir=str(ROOT), lambda_timeout=29)
        self.gateway = LocalGateway(app, config)
        self.live = Gateway.of(os.environ)
        self._splicer = Splicer()
        self._handed_over: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Door)
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    def hand_over(
        self, client: socket.socket, early: bytes, server: socket.socket, late: bytes
    ) -> None:
        """Give a client's socket to the splicer; this server closes it no more."""
        self._handed_over.add(client)
        self._splicer.join(client, server, early, late)

    def server_close(self) -> None:
        super().server_close()
        self._splicer.close()

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - inherited
        if request in self._handed_over:
            self._handed_over.discard(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - inherited
        # A client that hangs up is no error of ours.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Serve the REST API of app.py on one loopback port."
    )
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    try:
        server = FrontDoor(importlib.import_module("app").app, port)
    except OSError as error:
        raise SystemExit(f"The front door cannot open port {port}: {error.strerror}") from error
    # `shutdown` waits for the loop that the handler interrupts, so it needs a thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"Serving on http://127.0.0.1:{port}", file=sys.stderr)
    threading.Thread(target=watch_folders, name="folders", daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    server.server_close()


def watch_folders() -> None:
    """Publish what is written in the folders of workspaces, for as long as this process lives."""
    watcher, fault = Watcher(wiring.engine()), ""
    while True:
        time.sleep(LOOK_EVERY_S)
        try:
            for name in watcher.look():
                print(f"read the folder of {name} again", file=sys.stderr)
            fault = ""
        except StroemError as error:
            if error.message != fault:
                print(f"folders are not watched: {error.message}", file=sys.stderr)
            fault = error.message


if __name__ == "__main__":
    main()
