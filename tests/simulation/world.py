"""One simulated installation: stores, queues, definitions and the faults between them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from chalicelib.auth.links import NoLinks
from chalicelib.domain.errors import StroemError, UnavailableError
from chalicelib.domain.plan import flow_of
from chalicelib.domain.template import Renderer
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine import (
    advance,
    answers,
    chaining,
    job_logs,
    jobs,
    pausing,
    recovery,
    reruns,
    steps,
    workers,
)
from chalicelib.engine.engine import Engine, Limits
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from tests.simulation.cases import Case, Parts
from tests.simulation.checker import Checker
from tests.simulation.faults import KINDS, Faults, FaultyPort
from tests.simulation.flows import a_definition, draw_features
from tests.simulation.lagging import Materialized, StaleIndex, TornReads
from tests.simulation.queue import SimQueue
from tests.simulation.scheduler import EPOCH, Process, Scheduler
from tests.simulation.trace import Trace
from tests.simulation.watching import WatchedSlots, Watching

WORKSPACE = "ws"
REVISION = "r1"
HTTP_TIMEOUT_S = 29.0
CALM = 0.12
RATES = (0.0, 0.004, 0.02, 0.06, 0.15)
# Parsed templates are kept for all seeds.
RENDERER = Renderer()


@dataclass
class UseCases:
    """What the actors call; a mutant puts something worse in the place of one."""

    create: object = jobs.create
    cancel: object = advance.cancel
    pause: object = pausing.pause
    resume: object = pausing.resume
    rerun: object = reruns.rerun
    answer: object = answers.answer
    register: object = workers.register
    heartbeat: object = workers.heartbeat
    take: object = workers.take
    sign_off: object = workers.sign_off
    complete: object = steps.complete
    complete_and_claim: object = chaining.complete_and_claim
    append: object = job_logs.append_lines
    sweep: object = recovery.sweep


@dataclass
class Build:
    """What a world is made of; a mutant replaces a part."""

    jobs: type = MemoryJobs
    slots: type = WatchedSlots
    registry: type = MemoryRegistry
    blobs: type = MemoryBlobs
    ids: type | None = None
    use_cases: object = UseCases
    functions: tuple = ()

    @contextmanager
    def in_place(self):
        """Have each `(module, name, function)` of `functions` stand where it says, for a while."""
        kept = [(module, name, getattr(module, name)) for module, name, _ in self.functions]
        try:
            for module, name, function in self.functions:
                setattr(module, name, function)
            yield
        finally:
            for module, name, function in kept:
                setattr(module, name, function)


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


class World:
    """Everything that one case makes, but for its actors.

    What the seed draws comes from three generators: the workspace, the cast, and the order of
    events; so that a part may be taken away and the others stay as they are.
    """

    def __init__(self, case, build=None, *, keep_trace=False):
        self.build = build = build or Build()
        self.case = case if isinstance(case, Case) else Case(case)
        self.parts = Parts(self.case)
        seed = self.case.seed
        self.cast = Random(4 * seed + 1).random  # noqa: S311 - reproducible on purpose
        self.rng = Random(4 * seed + 2 + (self.case.salt << 64))  # noqa: S311 - as above
        self.random = self.rng.random
        self.scheduler = Scheduler(self.rng)
        self.trace = Trace(keep=keep_trace)
        self.trace.scheduler = self.scheduler
        self._draw_workspace(Random(4 * seed).random)  # noqa: S311 - as above
        self._draw_figures(self.cast)
        self.working = {}  # in the order in which they began, as a set is in none
        self._ambush = None
        self._place = None
        self.use = build.use_cases()
        self._make_stores(build)
        self.engine = self._engine(build)
        self.registry.put_workspace(WorkspaceRecord(name=WORKSPACE, revision=REVISION), None)
        self._calls = 0

    def has(self, part):
        return self.parts.has(part)

    def _draw_workspace(self, random):
        self.features = draw_features(random)
        self.drawn = a_definition(random, self.features)
        self.definition = self.parts.cut(self.drawn)
        self._flows = {
            key: flow_of(task, self.definition.actions)
            for key, task in self.definition.tasks.items()
        }

    def _draw_figures(self, random):
        has = self.has
        rate = RATES[int(random() * 4.3)]
        slow = 0.03 * random() if random() < 0.6 else 0.0
        # Nothing goes wrong in such a run: then nothing may wait for the sweep.
        calm = random() < CALM
        rate, slow = (0.0, 0.0) if calm else (rate, slow)
        self.is_calm = calm
        kinds = tuple(kind if has(f"fault {kind}") else None for kind in KINDS)
        slow = slow if has("slow calls") else 0.0
        self.faults = Faults(self.rng, rate, slow, kinds)
        bad, losing = random() < 0.5 and not calm, random() < 0.3
        self.copies = 0.2 if bad and has("copies") else 0.0
        self.late = 0.2 if bad and has("late messages") else 0.0
        self.lost = 0.03 if bad and losing and has("lost messages") else 0.0
        timeouts, freezes = random() < 0.1, random() < 0.3
        self.timeout_s = 200 if timeouts and has("default timeout") else None
        self.freezes = 0.1 if freezes and not calm and has("freezes") else 0.0
        long, torn, skew = random() < 0.05, random() < 0.3, random() < 0.5
        self.long = long and has("long runs")
        self.torn = 0.1 if torn and has("torn reads") else 0.0
        self.skew = 2.0 if skew and has("skew") else 0.0
        quota = 1 + int(random() * 3) if random() < 0.3 else None
        is_limited = "limits" in self.features and has("quota of the workspace")
        self.quota = quota if is_limited else None
        # All clients at the same instant.
        self.rush = random() < 0.2
        self.is_stale = has("stale index")
        self.faulty = True

    def _make_stores(self, build):
        self.checker = Checker(self.definition, self._flows)
        watched = {"checker": self.checker, "scheduler": self.scheduler}
        self.jobs = type("Watched", (Watching, build.jobs), watched)()
        self.checker.jobs = self.jobs
        self.checker.is_calm = self.is_calm and not self.features & {"pausing", "limits"}
        self.registry = build.registry()
        self.slots = build.slots()
        self.slots.checker = self.checker
        self.logs = MemoryLogs()
        self.blobs = build.blobs()
        self.queue = SimQueue(
            self.scheduler,
            self.rng,
            self.checker,
            copies=self.copies,
            late=self.late,
            lost=self.lost,
        )

    def _engine(self, build):
        ports = {
            name: FaultyPort(name, target, self)
            for name, target in (
                ("jobs", StaleIndex(self.jobs, self)),
                ("slots", self.slots),
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
            renderer=RENDERER,
            links=NoLinks(),
            limits=Limits(
                default_step_timeout_s=self.timeout_s,
                unclaimed_s=120,
                workspace_jobs=self.quota,
            ),
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
        scheduler.spawn(self.process(f"call{self._calls}"), name, invocation)
        scheduler.at(scheduler.now + HTTP_TIMEOUT_S, lambda: scheduler.wake(caller, turn))
        scheduler.wait()
        if not answer or (self.faults.rate and self.random() < self.faults.rate / 4):
            raise UnavailableError(f"no answer from {name}")
        result, error = answer[0]
        if error is not None:
            raise error
        return result
