"""The real app on a port of loopback, over an engine in memory, with a worker that pretends.

What a step prints and how it ends is said by its action's `env`: LINES, OUTPUT as JSON, ERROR.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import app as application
from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.logs import LogLine
from chalicelib.engine import job_logs, steps, workers
from chalicelib.store.memory import MemoryBlobs
from infra.local.frontdoor import Door, FrontDoor

_UPLOADS = "/presigned"


class _WebBlobs(MemoryBlobs):
    """Objects that can be uploaded through the door that `url` names."""

    url = ""

    def upload_url(self, key, expires_s):
        return f"{self.url}{_UPLOADS}?key={key}"


@dataclass
class Stack:
    """A server at `url`. `paused` holds the worker back."""

    url: str
    engine: object
    lock: threading.RLock
    stop: threading.Event
    paused: threading.Event

    def work(self):
        session = workers.register(self.engine, workers.Hello(name="w", capabilities=("script",)))
        while not self.stop.is_set():
            if self.paused.is_set():
                self.stop.wait(0.01)
                continue
            for received in self.engine.queue.receive("script", 0.02, 1):
                with self.lock:
                    taken = workers.take(self.engine, received, session.worker_id, "w")
                    if taken is not None:
                        self._end(taken)

    def _end(self, taken):
        env, hold = taken.rendered.env, taken.hold
        now = self.engine.clock.now()
        lines = [LogLine(now, "stdout", hold.ref.step, text) for text in env["LINES"].split("|")]
        job_logs.append_lines(self.engine, hold.ref.job_id, hold.ref.step, hold.attempt, 1, lines)
        output = json.loads(env.get("OUTPUT", "null"))
        steps.complete(self.engine, hold, steps.Outcome(error=env.get("ERROR"), output=output))


@contextmanager
def a_stack():
    """Serve on a free port until the block ends."""
    blobs, lock = _WebBlobs(), threading.RLock()
    engine = memory_engine(blobs)

    class QuietDoor(Door):
        def _answer(self, body):
            target = urlsplit(self.path)
            with lock:
                if target.path != _UPLOADS:
                    return super()._answer(body)
                assert "Authorization" not in self.headers
                blobs.put(parse_qs(target.query)["key"][0], body)
                return 200, {}, b""

        def _serve(self):
            # Without the line on stderr, which is here the command's own.
            self._write(*self._answer(self._body()))

        do_GET = do_PUT = do_POST = _serve  # noqa: N815 - http.server's names

    wiring.use(engine)
    server = FrontDoor(application.app, 0)
    server.RequestHandlerClass = QuietDoor
    blobs.url = f"http://127.0.0.1:{server.server_port}"
    stack = Stack(blobs.url, engine, lock, threading.Event(), threading.Event())
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.02,)),
        threading.Thread(target=stack.work),
    ]
    for thread in threads:
        thread.start()
    try:
        yield stack
    finally:
        stack.stop.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()
        wiring.use(None)
