"""One simulated installation: stores, queue, definitions and the faults between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from chalicelib.domain.errors import StroemError, TemplateError, UnavailableError
from chalicelib.domain.job import JobState
from chalicelib.domain.plan import flow_of
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine import advance, job_logs, jobs, recovery, steps, workers
from chalicelib.engine.engine import Engine, Limits
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from tests.simulation.checker import Checker
from tests.simulation.faults import Faults, FaultyPort
from tests.simulation.flows import BROKEN_SCRIPT, a_definition
from tests.simulation.queue import SimQueue
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.trace import Trace

EPOCH = datetime(2026, 11, 21, 8, tzinfo=UTC)
WORKSPACE = "ws"
REVISION = "r1"
HTTP_TIMEOUT_S = 29.0


@dataclass
class UseCases:
    """What the actors call; a mutant puts something worse in the place of one."""

    create: object = jobs.create
    cancel: object = advance.cancel
    register: object = workers.register
    heartbeat: object = workers.heartbeat
    take: object = workers.take
    sign_off: object = workers.sign_off
    complete: object = steps.complete
    append: object = job_logs.append_lines
    sweep: object = recovery.sweep


@dataclass
class Build:
    """What a world is made of; a mutant replaces a part."""

    jobs: type = MemoryJobs
    registry: type = MemoryRegistry
    blobs: type = MemoryBlobs
    ids: type | None = None
    use_cases: object = UseCases


class SimClock:
    """Time as the process at hand believes it to be."""

    def __init__(self, scheduler):
        self._scheduler = scheduler

    def now(self):
        scheduler = self._scheduler
        return EPOCH + timedelta(seconds=scheduler.now + scheduler.current.process.skew_s)


class SimIds:
    def __init__(self, rng):
        self._count = 0
        self.draw = rng.random

    def job_id(self):
        self._count += 1
        return f"j{self._count}"

    def nonce(self):
        self._count += 1
        return f"n{self._count}"


class SimDefinitions:
    def __init__(self, definition):
        self._definition = definition

    def load(self, workspace, revision):
        return self._definition


class PlainRenderer:
    """Flows here have no templates."""

    def render(self, template, context):
        if template == BROKEN_SCRIPT:
            raise TemplateError("'broken' is not there")
        return template

    def render_value(self, value, context):
        return value

    def render_input(self, value, context):
        return value


class Watching:
    """Mixed into a job store: the checker sees every write that is accepted."""

    checker = None

    def ids(self):
        return list(self._jobs)

    def state(self, job_id):
        """Return what a reader sees at this instant."""
        return MemoryJobs.load(self, job_id)

    def create(self, job):
        stands = super().create(job)
        if stands is job:
            self.checker.observe(self.state(job.job_id))
        return stands

    def claim_step(self, claim):
        return self._step(claim.ref, claim.lease, super().claim_step, claim)

    def end_step(self, end):
        return self._step(end.ref, end.lease, super().end_step, end)

    def retry_step(self, retry):
        return self._step(retry.ref, retry.lease, super().retry_step, retry)

    def halt_step(self, ref, seen, at):
        return self._step(ref, None, super().halt_step, ref, seen, at)

    def start(self, job_id, at):
        return self._job(job_id, super().start, job_id, at)

    def finish(self, job_id, status, at, nonce, after):
        return self._job(job_id, super().finish, job_id, status, at, nonce, after)

    def _step(self, ref, lease, write, *wish):
        before = self._record(ref)
        result = write(*wish)
        after = self._record(ref)
        if after is not before:
            state = self.state(ref.job_id)
            self.checker.step_written(state.job, lease, before, after)
            self.checker.observe(state)
        return result

    def _job(self, job_id, write, *args):
        before = self._jobs.get(job_id)
        result = write(*args)
        after = self._jobs.get(job_id)
        if after is not before:
            self.checker.job_written(before, after)
            self.checker.observe(self.state(job_id))
        return result


class World:
    """Everything that one seed makes, but for its actors."""

    def __init__(self, seed, build=None, *, keep_trace=False):
        build = build or Build()
        self.seed = seed
        self.rng = Random(seed)  # noqa: S311 - reproducible on purpose
        random = self.random = self.rng.random
        self.scheduler = Scheduler(self.rng)
        self.trace = Trace(keep=keep_trace)
        self.trace.scheduler = self.scheduler
        rate = (0.0, 0.004, 0.02, 0.06, 0.15)[int(random() * 4.3)]
        self.faults = Faults(self.rng, rate, slow=0.03 * random() if random() < 0.6 else 0.0)
        self.definition = a_definition(self.rng, tasks=1 + int(random() * 2))
        self._flows = {key: flow_of(task) for key, task in self.definition.tasks.items()}
        self.checker = Checker(lambda job: self._flows[job.task])
        self.jobs = type("Watched", (Watching, build.jobs), {"checker": self.checker})()
        self.registry = build.registry()
        self.logs = MemoryLogs()
        self.blobs = build.blobs()
        bad = random() < 0.5
        self.queue = SimQueue(
            self.scheduler,
            self.rng,
            lambda m: self.checker.deleted(m, self.jobs.state(m.ref.job_id).steps.get(m.ref.step)),
            copies=0.2 if bad else 0.0,
            late=0.2 if bad else 0.0,
            lost=0.03 if bad and random() < 0.3 else 0.0,
        )
        self.timeout_s = 200 if random() < 0.1 else None
        self.freezes = 0.1 if random() < 0.3 else 0.0
        self.working = {}  # in the order in which they began, as a set is in none
        self._ambush = None
        self._place = None
        self.use = build.use_cases()
        self.engine = self._engine(build)
        self.registry.put_workspace(WorkspaceRecord(name=WORKSPACE, revision=REVISION), None)
        self.faulty = True
        self.long = random() < 0.05
        self.torn = 0.1 if random() < 0.3 else 0.0
        self.skew = 2.0 if random() < 0.5 else 0.0
        self._calls = 0

    def _engine(self, build):
        ports = {
            name: FaultyPort(name, target, self)
            for name, target in (
                ("jobs", StaleIndex(self.jobs, self)),
                ("registry", self.registry),
                ("logs", self.logs),
                ("blobs", self.blobs),
                ("queue", self.queue),
            )
        }
        ports["blobs"] = Materialized(ports["blobs"])
        ports["jobs"] = TornReads(ports["jobs"], self)
        return Engine(
            **ports,
            clock=SimClock(self.scheduler),
            ids=(build.ids or SimIds)(self.rng),
            definitions=SimDefinitions(self.definition),
            renderer=PlainRenderer(),
            limits=Limits(default_step_timeout_s=self.timeout_s),
        )

    def process(self, name):
        skew_s = self.skew * (2 * self.random() - 1) if self.skew else 0.0
        return Process(name, skew_s)

    def moment(self, job_id, chance):
        """Say that a claim or an end of the job is about to be tried.

        Who waits for such a moment acts at the same time, and some calls of both stall a while.
        """
        if self._ambush is not None and self.random() < chance:
            self._place = job_id
            self.faults.tense = 12
            self.scheduler.wake(self._ambush)
            self._ambush = None

    def next_moment(self):
        """Wait for such a moment; return its job."""
        self._ambush = self.scheduler.current
        self.scheduler.wait()
        return self._place

    def remote(self, name, function, *args):
        """Call a use case over HTTP: it runs in an invocation of its own, and may outlive us.

        Raises what it raises; UnavailableError when it died, took too long or its answer was lost.
        """
        scheduler = self.scheduler
        caller = scheduler.current
        turn = caller.waits
        answer = []

        def invocation():
            try:
                answer.append((function(self.engine, *args), None))
            except StroemError as error:
                answer.append((None, error))
            finally:
                scheduler.wake(caller, turn)

        self._calls += 1
        scheduler.spawn(self.process(f"lambda{self._calls}"), name, invocation)
        scheduler.at(scheduler.now + HTTP_TIMEOUT_S, lambda: scheduler.wake(caller, turn))
        scheduler.wait()
        if not answer or (self.faults.rate and self.random() < self.faults.rate / 4):
            raise UnavailableError(f"no answer from {name}")
        result, error = answer[0]
        if error is not None:
            raise error
        return result


class StaleIndex:
    """The job store, with an index that lags behind: it forgets and remembers too long."""

    def __init__(self, target, world):
        self._target = target
        self._world = world

    def __getattr__(self, name):
        return getattr(self._target, name)

    def due(self, now, limit):
        world = self._world
        found = self._target.due(now, limit)
        if world.faulty and world.random() < 0.3:
            found = [job_id for job_id in found if world.random() < 0.7]
            found += [job_id for job_id in self._target.ids() if world.random() < 0.2]
        return found


class Materialized:
    """The object store; a stream is read to its end first, as a client that repeats parts does."""

    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        return getattr(self._target, name)

    def put_stream(self, key, parts):
        return self._target.put_stream(key, list(parts))


class TornReads:
    """The job store, where a query is no snapshot: META is read first, the steps a while later."""

    def __init__(self, target, world):
        self._target = target
        self._world = world

    def __getattr__(self, name):
        return getattr(self._target, name)

    def load(self, job_id):
        world = self._world
        if not world.torn or world.random() >= world.torn:
            return self._target.load(job_id)
        meta = self._target.load(job_id)
        world.scheduler.sleep(0.01 + world.random())
        early = dict(meta.steps)
        late = world.jobs.state(job_id).steps
        picked = {key: late[key] for key in late if key not in early or world.random() < 0.7}
        return JobState(meta.job, {**early, **picked})
