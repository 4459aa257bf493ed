"""Run seeds. `python -m tests.simulation.run SEED` replays one and prints its trace."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from tests.simulation.actors import Worker, canceller, client, ticker
from tests.simulation.checker import ViolationError
from tests.simulation.world import World

QUIET_AFTER_S = 600.0
_SUMMED = ("jobs", "steps", "completed", "faults", "calls")


@dataclass
class Result:
    """What one seed did."""

    seed: int
    jobs: int = 0
    steps: int = 0
    completed: int = 0
    faults: int = 0
    calls: int = 0
    digest: int = 0
    violation: str | None = None
    trace: list | None = None


@dataclass
class Totals:
    """What many seeds did together."""

    seeds: int = 0
    jobs: int = 0
    steps: int = 0
    completed: int = 0
    faults: int = 0
    calls: int = 0
    violations: list = field(default_factory=list)

    def add(self, result):
        self.seeds += 1
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(result, name))
        if result.violation:
            self.violations.append((result.seed, result.violation))

    def merge(self, other):
        for name in ("seeds", *_SUMMED):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.violations = sorted(self.violations + other.violations)

    def __str__(self):
        return (
            f"{self.seeds} seeds, {self.jobs} jobs, {self.steps} steps begun, "
            f"{self.completed} completed, {self.calls} calls of ports, {self.faults} faults, "
            f"{len(self.violations)} violations"
        )


def simulate(seed, build=None, *, keep_trace=False):
    """Run one seed to its end and check every invariant."""
    world = World(seed, build, keep_trace=keep_trace)
    violation = None
    try:
        _play(world)
    except ViolationError as error:
        violation = str(error)
    finally:
        world.scheduler.finish()
    checker = world.checker
    return Result(
        seed=seed,
        jobs=len(world.jobs.ids()),
        steps=checker.claims,
        completed=checker.completed,
        faults=world.faults.injected,
        calls=world.scheduler.steps,
        digest=world.trace.digest,
        violation=violation,
        trace=world.trace.lines,
    )


def _play(world):
    scheduler, random = world.scheduler, world.random
    fault_phase_s = (900 if world.long else 90) + 120 * random()
    outside = world.process("outside")
    for number in range(1 + int(random() * 3)):
        key = "key" if random() < 0.4 else None
        scheduler.spawn(outside, f"client{number}", client, world, key)
    if random() < 0.4:
        scheduler.spawn(outside, "canceller", canceller, world)
    scheduler.spawn(outside, "ticker", ticker, world)
    workers = [Worker(world, f"w{i}") for i in range(1 + int(random() * 3))]
    for worker in workers:
        worker.start()
    _plan_disasters(world, workers, fault_phase_s)
    scheduler.run(fault_phase_s)
    _end_faults(world)
    scheduler.run(fault_phase_s + QUIET_AFTER_S, lambda: _is_quiet(world))
    by_s = scheduler.now - fault_phase_s
    world.checker.finished(world.jobs, world.logs, world.blobs, by_s=by_s)


def _plan_disasters(world, workers, until_s):
    """Kill and freeze workers, each at some instant; a killed one is started again."""
    scheduler, random = world.scheduler, world.random
    for number in range(int(random() * 5)):
        at = until_s * random()
        victim = workers[int(random() * len(workers))]
        if random() < 0.5:
            scheduler.at(at, lambda v=victim, n=number: _kill(world, v, f"w{n}'"))
        else:
            until = at + (5 + 55 * random() if random() < 0.3 else 60 + 80 * random())
            scheduler.at(at, lambda v=victim, u=until: _freeze(v, u))


def _kill(world, worker, name):
    worker.process.dead = True
    world.trace.say(f"{worker.name} is killed")
    Worker(world, name).start()


def _freeze(worker, until):
    worker.process.frozen_until = until


def _end_faults(world):
    world.faults.rate = 0.0
    world.faults.slow = 0.0
    world.faulty = False
    world.queue.lost = 0.0
    for run in list(world.working):
        run.hurry()
    Worker(world, "last").start()


def _is_quiet(world):
    if world.queue._visible or world.queue._in_flight:
        return False
    for job_id in world.jobs.ids():
        state = world.jobs.state(job_id)
        if state.job.due is not None or not state.job.status.is_terminal:
            return False
        if any(record.status == "running" for record in state.steps.values()):
            return False
    return True


def main():
    seed = int(sys.argv[1])
    result = simulate(seed, keep_trace=True)
    sys.stdout.write("\n".join(result.trace) + "\n")
    sys.stdout.write(f"seed {seed}: {result.violation or 'no violation'}\n")
    return 1 if result.violation else 0


if __name__ == "__main__":
    sys.exit(main())
