"""Who asks for things in the simulation: clients, those who stop, pause and answer; the tick."""

from __future__ import annotations

from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import (
    ConflictError,
    IdempotencyError,
    NotFoundError,
    UnavailableError,
)
from chalicelib.domain.loops import flow_key
from chalicelib.domain.reruns import FromStep, StartFrom
from chalicelib.domain.values import StepRef
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.reruns import RerunRequest
from tests.simulation.world import WORKSPACE

TRIES = 6


def client(world, key):
    """Create one job, and again for as long as no answer comes if there is a key to do so."""
    scheduler, random = world.scheduler, world.random
    scheduler.sleep(5 if world.rush else 60 * random())
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
    tasks = [name for name in world.definition.tasks if name.startswith("t")]
    given = {"of": "xy"[int(random() * 2)]}
    if random() < (0.5 if key else 0.1):
        given["text"] = "xyz"[int(random() * 3)] * 1100
    return JobRequest(
        workspace=WORKSPACE,
        task=tasks[0 if key else int(random() * len(tasks))],
        input=given,
        idempotency_key=key,
    )


def _some_job(world):
    known = world.jobs.ids()
    return known[int(world.random() * len(known))] if known else None


def _insist(world, name, function, *args):
    """Call a use case until it answers; say whether it did what was asked."""
    for _ in range(3):
        try:
            world.remote(name, function, *args)
        except (ConflictError, NotFoundError):
            return False
        except UnavailableError:
            world.scheduler.sleep(2)
            continue
        return True
    return False


def canceller(world):
    """Cancel or kill a job: some job, or one in the very moment of a claim or of an end."""
    scheduler, random = world.scheduler, world.random
    scheduler.sleep(1 + (900 if world.long else 100) * random() ** 2)
    job_id = _some_job(world) if random() < 0.25 else world.next_moment()
    if job_id is not None:
        _insist(world, "cancel", world.use.cancel, job_id)
        if random() < 0.3:
            world.checker.seen["kills"] += _insist(world, "kill", _kill, world, job_id)


def _kill(engine, world, job_id):
    world.use.cancel(engine, job_id, killed=True)


def pauser(world):
    """Pause a job and let it go on, now and then at once; the second may never come."""
    scheduler, random = world.scheduler, world.random
    scheduler.sleep(1 + 100 * random())
    for _ in range(1 + int(random() * 2)):
        job_id = _some_job(world) if random() < 0.5 else world.next_moment()
        if job_id is None:
            return
        _insist(world, "pause", world.use.pause, job_id)
        scheduler.sleep(60 * random() if random() < 0.7 else 0.1 * random())
        if random() < 0.8:
            _insist(world, "resume", world.use.resume, job_id)


def rerunner(world):
    """Run an ended job again, from somewhere; now and then twice under one key."""
    scheduler, random = world.scheduler, world.random
    scheduler.sleep(20 + 80 * random())
    for number in range(1 + int(random() * 2)):
        ended = [i for i in world.jobs.ids() if world.jobs.peek(i).status.is_terminal]
        if ended:
            job_id = ended[int(random() * len(ended))]
            _run_again(world, job_id, f"again {number}" if random() < 0.4 else None)
        scheduler.sleep(20 * random())


def _run_again(world, job_id, key):
    task = world.definition.tasks.get(world.jobs.peek(job_id).task)
    names = [*task.flow] if task else []
    draw = world.random()
    start = StartFrom.START if draw < 0.2 or not names else StartFrom.FAILED
    if names and draw > 0.6:
        start = FromStep(names[int(world.random() * len(names))])
    request = RerunRequest(job_id=job_id, start=start, idempotency_key=key)
    for _ in range(2 if key else 1):
        try:
            made = world.remote("rerun", world.use.rerun, request)
        except (ConflictError, UnavailableError):
            world.scheduler.sleep(2)
            continue
        word = start.step if isinstance(start, FromStep) else start.value
        world.checker.created(key, made.job_id)
        world.checker.reruns[made.job_id] = (job_id, word)
        world.checker.seen[f"re-runs from {'a step' if word in names else word}"] += 1


def approver(world):
    """Answer what is asked, some of it late or never."""
    random, scheduler = world.random, world.scheduler
    patient = random() < 0.5
    while world.faulty:
        scheduler.sleep(2 + 40 * random())
        asked = [
            (ref, attempt)
            for ref, attempt in questions(world)
            if not (patient and _has_time_limit(world, ref))
        ]
        if not asked or not world.faulty:
            continue
        ref, attempt = asked[int(random() * len(asked))]
        if random() < 0.3:
            second = scheduler.current.process
            scheduler.spawn(second, "approver'", _answer, world, ref, attempt, random() < 0.5)
        _answer(world, ref, attempt, random() < 0.7)


def _answer(world, ref, attempt, approved):
    said = Answer(approved=approved, by="somebody", reason=None if approved else "No.")
    try:
        world.remote("answer", world.use.answer, ref.job_id, ref.step, said, attempt)
    except (ConflictError, NotFoundError, UnavailableError):
        return
    world.checker.answered(ref, attempt, approved=approved)
    world.checker.seen["answers"] += 1


def questions(world):
    """Return what waits for an answer: `[(ref, attempt), …]`."""
    found = []
    for job_id in world.jobs.ids():
        steps = world.jobs.state(job_id).steps
        records = [*steps.values()]
        for key, record in steps.items():
            if record.loop is not None:
                records.extend(world.jobs.instances(job_id, key).values())
        found += [
            (StepRef(job_id, record.step), record.attempt)
            for record in records
            if record.status == "suspended"
        ]
    return found


def closer(world):
    """When the faults are over: answer what is asked, and let go on what is paused."""
    while True:
        for job_id in world.jobs.ids():
            if world.jobs.peek(job_id).paused and not world.jobs.peek(job_id).status.is_terminal:
                _insist(world, "resume", world.use.resume, job_id)
        for ref, attempt in questions(world):
            if not _has_time_limit(world, ref):
                _answer(world, ref, attempt, world.random() < 0.8)
        world.scheduler.sleep(10)


def _has_time_limit(world, ref):
    """Say whether the engine must end the question by itself."""
    job = world.jobs.peek(ref.job_id)
    task = world.definition.tasks[job.task]
    return job.deadline is not None or task.flow[flow_key(ref.step)].timeout_s is not None


def ticker(world):
    """Start a sweep every half minute; each runs by itself, so that two may overlap."""
    scheduler = world.scheduler
    count = 0
    twice = world.has("sweeps at once")
    while True:
        scheduler.sleep(30.0)
        for _ in range(2 if twice and world.faulty and world.random() < 0.2 else 1):
            count += 1
            process = world.process(f"tick{count}")
            scheduler.spawn(process, "sweep", _sweep, world)


def _sweep(world):
    try:
        world.use.sweep(world.engine)
    except UnavailableError:
        return
