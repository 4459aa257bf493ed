"""Carry out what `plan.decide` says: send ready steps, end the job, do what its end leaves to do.

Each act may be repeated or cut off anywhere; the sweep (`recovery`) picks up what was left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.job import AfterAction, Job, JobState
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.plan import Dispatch, Finish, decide, derive, unhalted
from chalicelib.domain.pools import pool_of
from chalicelib.domain.values import StepRef
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.job_logs import archive_log
from chalicelib.engine.ports import Message

_HALT_ROUNDS = 3


def advance(engine: Engine, job_id: str, since: str | None = None) -> None:
    """Read the job, decide, act. `since` names the step whose end is being handled."""
    act(engine, engine.jobs.load(job_id), since)


def act(engine: Engine, state: JobState, since: str | None = None) -> None:
    """Decide on a state that was just read, and carry the commands out.

    Raises:
        ConflictError: the job was to be ended, and had been already.
    """
    if state.job.status.is_terminal:
        after_end(engine, state)
        return
    plan = engine.plan_of(state.job)
    dispatches: list[Dispatch] = []
    for command in decide(plan.flow, state, engine.clock.now(), since):
        match command:
            case Finish(status):
                ended = _finish(engine, state.job, status, frozenset({AfterAction.ARCHIVE_LOG}))
                after_end(engine, JobState(ended, state.steps))
            case Dispatch():
                dispatches.append(command)
    _dispatch(engine, state.job.job_id, plan, dispatches)


def cancel(engine: Engine, job_id: str) -> Job:
    """Cancel a job that has not ended. What waits is cancelled with it; workers drop what runs.

    META is written first and the steps are read then; a claim does it the other way round, so one
    of the two always sees the other. Then every step that might go on is halted.

    Raises:
        NotFoundError: no such job.
        ConflictError: it has ended already.
    """
    job = engine.jobs.get(job_id)
    after = frozenset({AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})
    ended = _finish(engine, job, JobStatus.CANCELLED, after)
    after_end(engine, engine.jobs.load(job_id))
    return ended


def after_end(engine: Engine, state: JobState) -> None:
    """Do what the ended job still has to do, in order; the log is archived when no step runs."""
    job = state.job
    if AfterAction.STOP_STEPS in job.after:
        state = _halted(engine, state)
        if any(not status.is_terminal for status in _statuses(engine, state).values()):
            return
        engine.jobs.after_done(job.job_id, AfterAction.STOP_STEPS)
    if AfterAction.ARCHIVE_LOG in job.after:
        archive_log(engine.blobs, engine.logs, engine.plan_of(job).flow, state)
        engine.jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)


def _halted(engine: Engine, state: JobState) -> JobState:
    """Halt every step of the cancelled job that might go on; return the job as it stands then.

    A step that goes on in the meantime, time and again, is left for the next look.
    """
    job = state.job
    flow = engine.plan_of(job).flow
    for _ in range(_HALT_ROUNDS):
        steps = unhalted(flow, state)
        if not steps:
            break
        for step in steps:
            ref, seen = StepRef(job.job_id, step), state.steps.get(step)
            with suppress(ConflictError):
                engine.jobs.halt_step(ref, seen, engine.clock.now())
        state = engine.jobs.load(job.job_id)
    return state


def _statuses(engine: Engine, state: JobState) -> dict[str, StepStatus]:
    return derive(engine.plan_of(state.job).flow, state)


def settle(engine: Engine, job_id: str, since: str) -> None:
    """Advance after a step's end; that another caller ended the job first is no error."""
    try:
        advance(engine, job_id, since)
    except ConflictError:
        return


def _finish(engine: Engine, job: Job, status: JobStatus, after: frozenset[AfterAction]) -> Job:
    now = engine.clock.now()
    return engine.jobs.finish(job.job_id, status, now, engine.ids.nonce(), after)


def _dispatch(engine: Engine, job_id: str, plan: Plan, dispatches: Iterable[Dispatch]) -> None:
    """Send each step's message to the queue of the pool that its action asks for."""
    by_pool: dict[str, list[tuple[Message, int]]] = defaultdict(list)
    for item in dispatches:
        pool = pool_of(plan.definition.action_of(plan.flow.steps[item.step]))
        message = Message(StepRef(job_id, item.step), item.attempt)
        by_pool[pool].append((message, item.delay_s))
    for pool, messages in by_pool.items():
        engine.queue.send(pool, messages)
