"""A server of live updates on loopback: REST over HTTP and a WebSocket, both over a `LiveWorld`.

A test says what happens each time that a subscription has been answered.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

_MISSING = (404, {"error": "it is not there"})


class LiveServer:
    """`then` is done in turn, one after each answered subscription, with the open connection.

    `asked` are the paths that REST was asked for, `heard` the messages of clients. `refusals`
    are statuses with which tickets are refused, in turn; 0 gives one.
    """

    def __init__(self, world):
        self.world = world
        self.then = deque()
        self.refusals = deque()
        self.asked, self.heard, self.tickets = [], [], []
        self.has_live = True
        self.url = self.live_url = ""
        self._numbers = count(1)
        self._lock = threading.Lock()

    def talk(self, connection):
        ticket = parse_qs(urlsplit(connection.request.path).query)["ticket"][0]
        if ticket not in self.tickets:
            connection.close(4001)
            return
        self.tickets.remove(ticket)
        try:
            for text in connection:
                self._answer(connection, json.loads(text))
        except ConnectionClosed:
            pass

    def send(self, connection, messages):
        for message in messages:
            connection.send(json.dumps(message))

    def _answer(self, connection, message):
        self.heard.append(message)
        with self._lock:
            self.send(connection, self.world.answer(message))
            if message["action"] == "subscribe" and self.then:
                self.then.popleft()(connection)

    def rest(self, method, target):
        """Return (status, body) of a request."""
        parts = urlsplit(target)
        self.asked.append(f"{method} {parts.path}")
        after = int(parse_qs(parts.query).get("after", ["0"])[0])
        match [unquote(part) for part in parts.path.split("/")[1:]]:
            case ["api", "ws-ticket"]:
                return self._ticket()
            case ["api", "jobs", "j"]:
                return 200, self.world.detail()
            case ["api", "jobs", "j", *where, "logs"]:
                return self._log(where, after)
            case ["api", "jobs"]:
                return 200, self.world.listed()
            case ["blob", name]:
                return 200, self.world.blobs[f"blob/{name}"]
        return _MISSING

    def _log(self, where, after):
        match where:
            case []:
                return 200, {"logs": self.world.job_log(after)}
            case ["steps", step] if step in self.world.steps:
                return 200, {"logs": self.world.step_log(step, after)}
        return _MISSING

    def _ticket(self):
        status = self.refusals.popleft() if self.refusals else 0
        if not self.has_live or status:
            return status or 404, {"error": "no ticket today"}
        self.tickets.append(f"t{next(self._numbers)}")
        return 200, {"ticket": self.tickets[-1], "expires_in": 30, "url": self.live_url}


@contextmanager
def live_server(world):
    """Serve a world on two free ports of 127.0.0.1."""
    live = LiveServer(world)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(live))
    http.daemon_threads = True
    live.url = f"http://127.0.0.1:{http.server_address[1]}"
    world.url = live.url
    sockets = serve(live.talk, "127.0.0.1", 0, ping_interval=None, close_timeout=1)
    live.live_url = f"ws://127.0.0.1:{sockets.socket.getsockname()[1]}"
    threads = [
        threading.Thread(target=http.serve_forever, args=(0.02,)),
        threading.Thread(target=sockets.serve_forever),
    ]
    for thread in threads:
        thread.start()
    try:
        yield live
    finally:
        http.shutdown()
        sockets.shutdown()
        for thread in threads:
            thread.join()
        http.server_close()


def _handler(live):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/blob/"):
                assert "Authorization" not in self.headers
            status, body = live.rest(self.command, self.path)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_):
            pass

    return Handler
