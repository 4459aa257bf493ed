"""The real app on a port of loopback, over an engine in memory, with a worker that pretends.

What a step prints and how it ends is said by its action's `env`: LINES, OUTPUT as JSON, ERROR.
Without LINES the step really runs.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import app as application
from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.logs import LogLine
from chalicelib.engine import job_logs, steps, workers
from chalicelib.runner.assigned import spec_of
from chalicelib.runner.run import run_step
from chalicelib.runner.spec import Cancel, Host
from chalicelib.store.memory import MemoryBlobs
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_audit import MemoryAudit
from chalicelib.store.memory_schedules import MemoryBackfills, MemorySchedules
from chalicelib.workspaces.tarball import extract_into
from infra.local.frontdoor import Door, FrontDoor
from tests.fakes.runner import RememberingSink

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
    folder: Path

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
        texts, outcome = self._pretend(env) if "LINES" in env else self._run(taken)
        now = self.engine.clock.now()
        lines = [LogLine(now, "stdout", hold.ref.step, text) for text in texts]
        job_logs.append_lines(self.engine, hold.ref, hold.attempt, 1, lines)
        steps.complete(self.engine, hold, outcome)

    def _pretend(self, env):
        output = json.loads(env.get("OUTPUT", "null"))
        return env["LINES"].split("|"), steps.Outcome(error=env.get("ERROR"), output=output)

    def _run(self, taken):
        revision = self.engine.registry.revision(taken.workspace, taken.revision)
        archive = self.engine.blobs.get(revision.archive.key)
        sink = RememberingSink()
        host = Host(environ=os.environ, cache_dir=self.folder, clock=self.engine.clock)
        workdir = self.folder / taken.hold.lease
        workdir.mkdir()
        extract_into(archive, workdir)
        result = run_step(spec_of(taken), workdir, sink, Cancel(), host)
        texts = [line for _, line, *_ in sink.lines]
        return texts, steps.Outcome(error=result.error, output=result.output)


@contextmanager
def a_stack(folder=None):
    """Serve on a free port until the block ends; `folder` is for steps that really run."""
    blobs, lock = _WebBlobs(), threading.RLock()
    engine = replace(
        memory_engine(blobs),
        access=MemoryAccess(),
        audit=MemoryAudit(),
        schedules=MemorySchedules(),
        backfills=MemoryBackfills(),
    )

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

        do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    wiring.use(engine)
    server = FrontDoor(application.app, 0)
    server.RequestHandlerClass = QuietDoor
    blobs.url = f"http://127.0.0.1:{server.server_port}"
    stack = Stack(blobs.url, engine, lock, threading.Event(), threading.Event(), folder)
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
