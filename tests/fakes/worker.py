"""A worker without an engine: a control that a test scripts, and a loop around it."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Action, ActionType
from chalicelib.engine.rendering import RenderedStep
from chalicelib.engine.steps import Assignment, Hold
from chalicelib.engine.workers import Hello
from chalicelib.runner.spec import Host
from chalicelib.runner.working_copy import WorkingCopies
from chalicelib.wiring import SystemClock
from chalicelib.workspaces.tarball import extract_into, pack
from tests.fakes.runner import eventually
from workers.attempts import Kit
from workers.control import Orders, Session
from workers.log_stream import Pace
from workers.loop import Timing, Worker

QUICK = Pace(early_s=0.01, watched_s=0.01, unwatched_s=0.01, flush_s=0.5)


def an_assignment(script=":", *, step="build", job="job-1", lease=None, **given):
    """A claimed attempt of a shell script."""
    hold = Hold(StepRef(job, step), given.pop("attempt", 1), lease or f"lease-{job}-{step}")
    action = Action(key="act", type=given.pop("type", ActionType.SCRIPT), script=script)
    rendered = RenderedStep(script=script, args=(), env=given.pop("env", {}), input={})
    return Assignment(
        **{
            "hold": hold,
            "workspace": "shop",
            "revision": "r1",
            "task": "ship",
            "action": action,
            "rendered": rendered,
            "timeout_s": None,
            **given,
        }
    )


def a_gated(folder, step="build", **given):
    """A step that says that it runs and goes on until its gate is opened."""
    script = f"touch {folder}/{step}.runs; until [ -e {folder}/{step}.gate ]; do sleep 0.01; done"
    return an_assignment(script, step=step, **given)


def runs(folder, step="build"):
    return eventually((folder / f"{step}.runs").exists)


def open_gate(folder, step="build"):
    (folder / f"{step}.gate").touch()


class FakeControl:
    """Gives out what `put` was given; remembers all that it is told.

    `faults[method]` lists errors that the next calls of a method raise, one a call.
    """

    def __init__(self, *, offers_are_claims=False, heartbeat_s=0.01):
        self.offers_are_claims = offers_are_claims
        self.heartbeat_s = heartbeat_s
        self.given = Orders()
        self.pools = None
        self.faults = defaultdict(list)
        self.hellos = []
        self.beats = []
        self.questions = []
        self.asked = []
        self.chunks = []
        self.live = []
        self.completed = []
        self.signed_off = 0
        self.under_way = self.most_under_way = 0
        self.next_up = []
        self._work = defaultdict(SimpleQueue)
        self._lock = threading.Lock()

    def put(self, *assignments, pool="script"):
        for one in assignments:
            self._work[pool].put(one)

    def register(self, hello):
        self._fail("register")
        self.hellos.append(hello)
        return Session(f"session-{len(self.hellos)}", self.heartbeat_s, self.pools)

    def heartbeat(self, running):
        self._fail("heartbeat")
        self.beats.append(tuple(running))
        return self.given

    def orders(self, running):
        self._fail("orders")
        self.questions.append(tuple(running))
        return self.given

    def offers(self, pool, wait_s, limit):
        with self._lock:
            self.asked.append((pool, wait_s, limit))
        self._fail("offers")
        found = []
        try:
            found.append(self._work[pool].get(timeout=wait_s))
            while len(found) < limit:
                found.append(self._work[pool].get_nowait())
        except Empty:
            pass
        return [lambda one=one: self._take(one) for one in found]

    def _take(self, assignment):
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        return assignment

    def append(self, hold, first, lines, *, live=False):
        self._fail("append")
        self.live.append(live)
        self.chunks.append((hold, first, tuple(lines)))

    def complete(self, hold, outcome, *, go_on=False):
        with self._lock:
            if not self.faults["complete"]:
                self.under_way -= 1
        self._fail("complete")
        self.completed.append((hold, outcome))
        return self._take(self.next_up.pop(0)) if go_on and self.next_up else None

    def archive(self, workspace, revision):
        self._fail("archive")
        return pack(WorkspaceTree({"hello.txt": SourceFile(b"hello\n")}))

    def sign_off(self):
        self.signed_off += 1

    def _fail(self, method):
        if self.faults[method]:
            raise self.faults[method].pop(0)

    def texts(self):
        """Return the text of all lines in the order in which they were accepted."""
        return [line.line for _, _, lines in self.chunks for line in lines]

    def outcomes(self):
        """Return the outcome of each step that was completed."""
        return {hold.ref.step: outcome for hold, outcome in self.completed}


def a_worker(control, folder, *, slots=2, pools=("script",), pace=QUICK, host=None, **timing):
    """A worker whose waits are short enough for a test."""
    host = host or Host(
        environ={"PATH": os.environ["PATH"]}, cache_dir=folder / "cache", clock=SystemClock()
    )
    kit = Kit(
        control=control,
        copies=WorkingCopies(folder / "cache", extract_into),
        host=host,
        pace=pace,
    )
    timing = Timing(**{"grace_s": 5.0, "report_s": 2.0, "wait_s": 0.05} | timing)
    return Worker(kit, Hello(name="w", capabilities=pools), pools, slots, timing)


@contextmanager
def at_work(worker):
    """Run the worker in a thread; yield that thread, and stop the worker at the end."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        worker.stop()
        thread.join(10)
        assert not thread.is_alive()
