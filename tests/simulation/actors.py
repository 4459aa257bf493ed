"""Workers in the simulation: a session, slots, and the user code that runs in them."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    NotFoundError,
    StroemError,
    TemplateError,
    UnavailableError,
)
from chalicelib.domain.logs import LogLine
from chalicelib.domain.pools import Reach
from chalicelib.engine.chaining import Taker
from chalicelib.engine.steps import Outcome
from chalicelib.engine.workers import Hello
from tests.simulation.flows import speaks
from tests.simulation.meanings import instance_step
from tests.simulation.scheduler import EPOCH

HEARTBEAT_S = 20.0
TRIES = 6


class Worker:
    """A worker process: one session, some slots, one heartbeat."""

    def __init__(self, world, name):
        random = world.random
        self.world = world
        self.scheduler = world.scheduler
        self.name = name
        self.process = world.process(name)
        self.over_http = random() < 0.5
        draw = 1.0 if name == "last" else random()
        self.tags = ("far",) if "pools" in world.features and draw > 0.3 else ()
        self.exclusive = bool(self.tags) and draw < 0.5
        self.reach = Reach(frozenset({"script"}), frozenset(self.tags), self.exclusive)
        # It takes what its own report made ready, without the queue.
        self.is_chaining = random() < 0.5 and world.has("chaining")
        # An old client does not say what it runs: only a timeout finds what it lost.
        self.is_old = world.timeout_s is not None and random() < 0.5 and world.has("old workers")
        self.slots = 1 + int(random() * 3)
        self.session = None
        self.running = {}

    def start(self):
        self.scheduler.spawn(self.process, "main", self._main)

    def _main(self):
        record = None
        while record is None:
            try:
                record = self._call("register", self.world.use.register, _hello(self))
            except UnavailableError:
                self.scheduler.sleep(3)
        self.session = record.worker_id
        for number in range(self.slots):
            self.scheduler.spawn(self.process, f"slot{number}", self._slot)
        self._beat()

    def _call(self, name, function, *args):
        if self.over_http:
            return self.world.remote(name, function, *args)
        return function(self.world.engine, *args)

    def _beat(self):
        while True:
            self.scheduler.sleep(HEARTBEAT_S)
            try:
                refs = [run.hold.ref for run in self.running.values()]
                told = None if self.is_old else refs
                orders = self._call("heartbeat", self.world.use.heartbeat, self.session, told)
            except StroemError:
                continue
            self.world.checker.seen["killed"] += len(orders.killed)
            for ref in orders.cancelled:
                for run in self.running.values():
                    if run.hold.ref == ref:
                        run.cancel()

    def _slot(self):
        world, engine = self.world, self.world.engine
        while True:
            try:
                received = engine.queue.receive_any(self.reach)
            except UnavailableError:
                self.scheduler.sleep(1)
                continue
            for one in received:
                world.moment(one.message.ref.job_id, 0.1)
                try:
                    assignment = self._call("take", world.use.take, one, self.session, self.name)
                except (UnavailableError, TemplateError, FencedError):
                    continue
                while assignment is not None:
                    run = Run(self, assignment)
                    self.running[assignment.hold.lease] = run
                    following = run.run()
                    self.running.pop(assignment.hold.lease, None)
                    assignment = following

    def complete(self, hold, outcome):
        """Report; return what follows in the same slot, if there is something."""
        use = self.world.use
        if self.is_chaining:
            taker = Taker(self.session, self.name, self.reach)
            return self._call("complete", use.complete_and_claim, hold, outcome, taker)
        self._call("complete", use.complete, hold, outcome)
        return None


class Run:
    """One attempt of user code in a slot."""

    def __init__(self, worker, assignment):
        self.worker = worker
        self.timeout_s = assignment.timeout_s
        self.world = worker.world
        self.hold = hold = assignment.hold
        self._rendered = assignment.rendered
        task = self.world.definition.tasks.get(assignment.task)
        # What a hook runs stands in no task of the workspace.
        self._step = task.flow[instance_step(hold.ref.step)] if task else None
        self.cancelled = False
        self.lines = []
        self.logged = True
        self.timed_out = False
        self._sleeps = None

    def cancel(self):
        self.cancelled = True
        self.hurry()

    def hurry(self):
        """Come to the end of the work now."""
        if self._sleeps is not None:
            self.world.scheduler.wake(*self._sleeps)

    def run(self):
        world, hold = self.world, self.hold
        random = world.random
        world.checker.ran(hold)
        if self._step is not None:
            world.checker.was_given(hold, self._rendered, self._step)
        world.trace.say(f"user code of {hold.ref.job_id}/{hold.ref.step}#{hold.attempt} begins")
        self._log()
        if world.faulty and random() < world.freezes:
            # Longer than its session: it wakes up when the step is another's.
            self.worker.process.frozen_until = world.scheduler.now + 60 + 60 * random()
        is_long = random() < (0.1 if hold.attempt == 1 else 0.5)
        self._work(90 * random() if is_long else 0.2 + 8 * random() ** 3)
        self._log()
        return self._report(self._outcome())

    def _work(self, seconds):
        if self.cancelled:
            return
        world, scheduler = self.world, self.world.scheduler
        if world.long:
            seconds *= 25
        if not world.faulty:
            seconds = min(seconds, 2.0)
        if "[" in self.hold.ref.step and seconds < 30:
            # So that a long loop is over in time.
            seconds /= 10
        hangs = self.timeout_s is not None and world.faulty and world.random() < 0.02
        if hangs:
            seconds = 5000
        elif self.timeout_s is not None and seconds > self.timeout_s:
            seconds, self.timed_out = self.timeout_s, True
        else:
            self._sleeps = (scheduler.current, scheduler.current.waits)
            world.working[self] = None
        scheduler.sleep(seconds)
        self._sleeps = None
        world.working.pop(self, None)

    def _outcome(self):
        random = self.world.random
        if self.cancelled:
            return Outcome(error="stopped", cancelled=True)
        if self.timed_out:
            return Outcome(error="Step timed out")
        if random() < (0.2 if self.world.faulty else 0.1):
            return Outcome(error="exit code 1")
        return Outcome(output=self._output())

    def _output(self):
        random = self.world.random
        is_read = self._step is not None and speaks(self._step)
        if random() > (0.9 if is_read and self.world.features else 0.4):
            return None
        output = {"n": int(random() * 100)}
        if is_read and "loops" in self.world.features:
            output["list"] = [int(random() * 6) for _ in range(int(random() * 6))]
        if random() < 0.2:
            output["text"] = "x" * 1100
        return output

    def _log(self):
        world = self.world
        count = int(world.random() * 3)
        if not count or not self.logged:
            return
        first = len(self.lines) + 1
        mark = f"{self.hold.ref.step}#{self.hold.attempt}:"
        texts = [f"{mark}{first + i}" for i in range(count)]
        at = EPOCH + timedelta(seconds=world.scheduler.now)
        lines = [LogLine(at, "stdout", self.hold.ref.step, text) for text in texts]
        place = (self.hold.ref, self.hold.attempt)
        for _ in range(TRIES):
            try:
                self.worker._call("append", world.use.append, *place, first, lines)
            except UnavailableError:
                world.scheduler.sleep(1)
                continue
            self.lines.extend(texts)
            return
        self.logged = False

    def _report(self, outcome):
        world, hold = self.world, self.hold
        place = (hold.ref.job_id, hold.ref.step, hold.attempt)
        if outcome.error is None:
            world.checker.outputs[place] = outcome.output
        world.moment(hold.ref.job_id, 0.6 if outcome.error else 0.3)
        for number in range(TRIES):
            try:
                following = self.worker.complete(hold, outcome)
            except UnavailableError:
                world.scheduler.sleep(1 + 2**number)
                continue
            except (ConflictError, NotFoundError):
                return None
            if self.logged:
                world.checker.lines[place] = list(self.lines)
            return following
        return None


def _hello(worker):
    return Hello(
        name=worker.name,
        capabilities=("script",),
        tags=worker.tags,
        exclusive=worker.exclusive,
    )
