"""Who acts in the simulation: clients, workers with their slots, the tick, and who cancels."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    IdempotencyError,
    NotFoundError,
    StroemError,
    TemplateError,
    UnavailableError,
)
from chalicelib.domain.logs import LogLine
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.steps import Outcome
from chalicelib.engine.workers import Hello
from tests.simulation.world import EPOCH, WORKSPACE

HEARTBEAT_S = 20.0
TRIES = 6


def client(world, key):
    """Create one job, and again for as long as no answer comes if there is a key to do so."""
    scheduler, random = world.scheduler, world.random
    scheduler.sleep(60 * random())
    request = _a_request(world, key)
    for _ in range(TRIES if key else 1):
        try:
            job = world.remote("create", world.use.create, request)
        except UnavailableError:
            scheduler.sleep(1 + 5 * random())
            continue
        except IdempotencyError:
            world.trace.say("the key was used with another input")
            return
        world.checker.created(key, job.job_id)
        if random() < 0.7:
            return


def _a_request(world, key):
    """Ask for some task; under one key seldom for another input, which must be refused."""
    random = world.random
    tasks = list(world.definition.tasks)
    return JobRequest(
        workspace=WORKSPACE,
        task=tasks[0 if key else int(random() * len(tasks))],
        input={"text": "xyz"[int(random() * 3)] * 1100}
        if random() < (0.5 if key else 0.1)
        else {},
        idempotency_key=key,
    )


def canceller(world):
    scheduler, random = world.scheduler, world.random
    scheduler.sleep(1 + (900 if world.long else 150) * random())
    known = world.jobs.ids()
    if not known:
        return
    job_id = known[int(random() * len(known))]
    if random() < 0.6:
        # In the very moment of a claim or of an end, where the two must see each other.
        job_id = world.next_moment()
    for _ in range(3):
        try:
            world.remote("cancel", world.use.cancel, job_id)
        except (ConflictError, NotFoundError):
            return
        except UnavailableError:
            scheduler.sleep(2)
            continue
        return


def ticker(world):
    """Start a sweep every half minute; each runs by itself, so that two may overlap."""
    scheduler = world.scheduler
    count = 0
    while True:
        scheduler.sleep(30.0)
        for _ in range(2 if world.faulty and world.random() < 0.2 else 1):
            count += 1
            process = world.process(f"tick{count}")
            scheduler.spawn(process, "sweep", _sweep, world)


def _sweep(world):
    try:
        world.use.sweep(world.engine)
    except UnavailableError:
        return


class Worker:
    """A worker process: one session, some slots, one heartbeat."""

    def __init__(self, world, name):
        random = world.random
        self.world = world
        self.scheduler = world.scheduler
        self.name = name
        self.process = world.process(name)
        self.over_http = random() < 0.5
        # An old client does not say what it runs: only a timeout finds what it lost.
        self.is_old = world.timeout_s is not None and random() < 0.5
        self.slots = 1 + int(random() * 3)
        self.session = None
        self.running = {}

    def start(self):
        self.scheduler.spawn(self.process, "main", self._main)

    def _main(self):
        record = None
        while record is None:
            try:
                record = self._call("register", self.world.use.register, _hello(self.name))
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
            for ref in orders.cancelled:
                for run in self.running.values():
                    if run.hold.ref == ref:
                        run.cancel()

    def _slot(self):
        world, use, engine = self.world, self.world.use, self.world.engine
        while True:
            try:
                received = engine.queue.receive("script", 20, 1)
            except UnavailableError:
                self.scheduler.sleep(1)
                continue
            for one in received:
                world.moment(one.message.ref.job_id, 0.1)
                try:
                    assignment = self._call("take", use.take, one, self.session, self.name)
                except (UnavailableError, TemplateError, FencedError):
                    continue
                if assignment is not None:
                    run = Run(self, assignment.hold, assignment.timeout_s)
                    self.running[assignment.hold.lease] = run
                    run.run()
                    self.running.pop(assignment.hold.lease, None)


class Run:
    """One attempt of user code in a slot."""

    def __init__(self, worker, hold, timeout_s):
        self.worker = worker
        self.timeout_s = timeout_s
        self.world = worker.world
        self.hold = hold
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
        world.trace.say(f"user code of {hold.ref.job_id}/{hold.ref.step}#{hold.attempt} begins")
        self._log()
        if world.faulty and random() < world.freezes:
            # Longer than its session: it wakes up when the step is another's.
            self.worker.process.frozen_until = world.scheduler.now + 60 + 60 * random()
        is_long = random() < (0.1 if hold.attempt == 1 else 0.5)
        self._work(90 * random() if is_long else 0.2 + 8 * random() ** 3)
        self._log()
        self._report(self._outcome())

    def _work(self, seconds):
        if self.cancelled:
            return
        world, scheduler = self.world, self.world.scheduler
        if world.long:
            seconds *= 25
        if not world.faulty:
            seconds = min(seconds, 2.0)
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
        output = None
        if random() < 0.4:
            output = {"n": int(random() * 100)}
            if random() < 0.5:
                output["text"] = "x" * 1100
        return Outcome(output=output)

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
        place = (self.hold.ref.job_id, self.hold.ref.step, self.hold.attempt)
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
        world.moment(hold.ref.job_id, 0.6 if outcome.error else 0.1)
        for number in range(TRIES):
            try:
                self.worker._call("complete", world.use.complete, hold, outcome)
            except UnavailableError:
                world.scheduler.sleep(1 + 2**number)
                continue
            except (ConflictError, NotFoundError):
                return
            if self.logged:
                world.checker.lines[place] = list(self.lines)
            return


def _hello(name):
    return Hello(name=name, capabilities=("script",))
