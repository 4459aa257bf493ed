"""Run seeds. `./dev simulate --seed SEED` replays one and prints its trace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.actors import Worker
from tests.simulation.checker import ViolationError
from tests.simulation.finished import Finished
from tests.simulation.people import approver, canceller, client, closer, pauser, rerunner, ticker
from tests.simulation.world import World

# A job ends, or some step of it moves on, in each ten minutes after the faults (I3).
QUIET_AFTER_S = 600.0
MOST_WINDOWS = 24


@dataclass
class Result:
    """What one seed did. `seen` counts what it had; `parts` are those that it could do without."""

    seed: int
    jobs: int = 0
    steps: int = 0
    calls: int = 0
    digest: int = 0
    faults: Counter = field(default_factory=Counter)
    seen: Counter = field(default_factory=Counter)
    violation: str | None = None
    trace: list | None = None
    parts: tuple = ()
    drawn: object = None


@dataclass
class Totals:
    """What many seeds did together."""

    seeds: int = 0
    jobs: int = 0
    steps: int = 0
    calls: int = 0
    faults: Counter = field(default_factory=Counter)
    seen: Counter = field(default_factory=Counter)
    violations: list = field(default_factory=list)

    def add(self, result):
        self.merge(
            Totals(
                1,
                result.jobs,
                result.steps,
                result.calls,
                result.faults,
                result.seen,
                [(result.seed, result.violation)] if result.violation else [],
            )
        )

    def merge(self, other):
        for name in ("seeds", "jobs", "steps", "calls"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults.update(other.faults)
        self.seen.update(other.seen)
        self.violations = sorted(self.violations + other.violations)[:20]

    def __str__(self):
        return (
            f"{self.seeds:,} seeds, {self.jobs:,} jobs, {self.steps:,} steps begun, "
            f"{self.calls:,} calls of ports, {self.faults.total():,} faults, "
            f"{len(self.violations)} violations"
        )


def simulate(case, build=None, *, keep_trace=False):
    """Run one seed, or what is left of it, to its end and check every invariant."""
    world = World(case, build, keep_trace=keep_trace)
    violation = None
    try:
        with world.build.in_place():
            _play(world)
    except ViolationError as error:
        violation = str(error)
    except Exception as error:  # noqa: BLE001 - whatever nobody expected is a finding too
        violation = f"unexpected {type(error).__name__}: {error}"
    finally:
        world.scheduler.finish()
    seen = world.checker.seen
    return Result(
        seed=world.case.seed,
        jobs=len(world.jobs.ids()),
        steps=seen["claims"] + seen["sub-jobs"] + seen["approvals"],
        calls=world.scheduler.steps,
        digest=world.trace.digest,
        faults=world.faults.injected,
        seen=seen,
        violation=violation,
        trace=world.trace.told(),
        parts=tuple(world.parts.asked),
        drawn=world.drawn,
    )


def _play(world):
    scheduler, draw = world.scheduler, world.cast
    fault_phase_s = (900 if world.long else 90) + 120 * draw()
    outside = world.process("outside")
    _invite(world, outside)
    scheduler.spawn(outside, "ticker", ticker, world)
    count = 1 + int(draw() * 3)
    names = [f"w{i}" for i in range(count)]
    workers = [
        Worker(world, name) for name in names if name == "w0" or world.has(f"worker {name}")
    ]
    for worker in workers:
        worker.start()
    _plan_disasters(world, workers, fault_phase_s)
    scheduler.run(fault_phase_s)
    _end_faults(world)
    _settle(world, fault_phase_s)
    Finished(world, scheduler.now - fault_phase_s).check()


def _invite(world, outside):
    """Spawn who asks for things; whom the seed draws does not depend on who is taken away."""
    draw, has, features = world.cast, world.has, world.features
    people = []
    for number in range(1 + int(draw() * 3)):
        key = "key" if draw() < 0.4 else None
        people.append((f"client{number}", client, (key,)))
    if draw() < 0.5:
        people.append(("canceller", canceller, ()))
    if "pausing" in features:
        people.append(("pauser", pauser, ()))
    if "reruns" in features:
        people.append(("rerunner", rerunner, ()))
    if "approvals" in features:
        people += [(f"approver{number}", approver, ()) for number in range(1 + int(draw() * 2))]
    for name, function, args in people:
        if name == "client0" or has(name):
            world.scheduler.spawn(outside, name, function, world, *args)


def _plan_disasters(world, workers, until_s):
    """Kill and freeze workers, each at some instant; a killed one is started again."""
    scheduler, draw = world.scheduler, world.cast
    for number in range(0 if world.is_calm else int(draw() * 5)):
        at, which, is_death = until_s * draw(), draw(), draw() < 0.5
        until = at + (5 + 55 * draw() if draw() < 0.3 else 60 + 80 * draw())
        if not world.has(f"disaster {number}"):
            continue
        world.checker.is_calm = False
        victim = workers[int(which * len(workers))]
        if is_death:
            scheduler.at(at, lambda v=victim, n=number: _kill(world, v, f"w{n}'"))
        else:
            scheduler.at(at, lambda v=victim, u=until: _freeze(world, v, u))


def _kill(world, worker, name):
    worker.process.dead = True
    world.trace.say(f"{worker.name} is killed")
    Worker(world, name).start()


def _freeze(world, worker, until):
    world.trace.say(f"{worker.name} freezes until {until:.0f}")
    worker.process.frozen_until = until


def _end_faults(world):
    world.trace.say("no faults from here on")
    world.faults.rate = 0.0
    world.faults.slow = 0.0
    world.faulty = False
    world.torn = 0.0
    world.queue.lost = 0.0
    for run in list(world.working):
        run.hurry()
    Worker(world, "last").start()
    if world.features & {"approvals", "pausing"}:
        world.scheduler.spawn(world.process("outside"), "closer", closer, world)


def _settle(world, from_s):
    """Let things come to their end, for as long as something moves on."""
    for window in range(1, MOST_WINDOWS + 1):
        moves = world.checker.moves
        world.scheduler.run(from_s + window * QUIET_AFTER_S, lambda: _is_quiet(world))
        if _is_quiet(world) or world.checker.moves == moves:
            return


def _is_quiet(world):
    if not world.queue.is_empty():
        return False
    for job_id in world.jobs.ids():
        job = world.jobs.peek(job_id)
        if job.due is not None or not job.status.is_terminal:
            return False
        steps = world.jobs.state(job_id).steps.values()
        if any(record.status in ("running", "suspended") for record in steps):
            return False
    return True
