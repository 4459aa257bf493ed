"""A web server on loopback that answers as a test says, in the order in which it is asked."""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer. `hang_up` closes the connection instead."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    hang_up: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict
    body: object


@dataclass
class Script:
    """The answers that are still to come; without any, `{}` is answered. `asked` remembers."""

    url: str = ""
    answers: deque = field(default_factory=deque)
    asked: list = field(default_factory=list)
    connections: int = 0

    def answer(self, *answers):
        self.answers.extend(answers)

    def bodies(self):
        return [one.body for one in self.asked]


@contextmanager
def scripted_server():
    """Serve a script on a free port of 127.0.0.1."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self):
            super().setup()
            script.connections += 1

        def do_POST(self):
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content) if content else None
            script.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            answer = script.answers.popleft() if script.answers else Answer()
            if answer.hang_up:
                self.close_connection = True
                return
            body = answer.body
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
