"""End a job, and do what its end leaves to do.

META is written first, with the set of after-actions; each is idempotent and crossed off when it is
done, and the job keeps its `due` until none is left. Source: protocol, "Moves".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.job import AfterAction, Job, JobState
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.plan import derive, unhalted
from chalicelib.domain.values import StepRef
from chalicelib.engine import (
    children,
    concurrency,
    hooks,
    loops,
    notifications,
    rerun_records,
    retries,
)
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.job_logs import archive_log
from chalicelib.engine.ports import JobEnd

_HALT_ROUNDS = 3


def finish(
    engine: Engine,
    plan: Plan,
    job: Job,
    status: JobStatus,
    *,
    reason: str | None = None,
    killed: bool = False,
) -> Job:
    """Write the end of a job that has not ended.

    Raises:
        ConflictError: it has ended already.
    """
    retry_job = retries.next_job(plan, job, status)
    end = JobEnd(
        status=status,
        at=engine.clock.now(),
        nonce=engine.ids.nonce(),
        after=_after_actions(plan, job, status, retry_job),
        reason=reason,
        retry_job=retry_job,
        killed=killed,
    )
    return engine.jobs.finish(job.job_id, end)


def expire(engine: Engine, plan: Plan, job: Job) -> Job:
    """Cancel a job that is over its deadline; return it as it stands then.

    That another caller ended it at the same moment is no error.
    """
    now = engine.clock.now()
    if job.status.is_terminal or job.deadline is None or now < job.deadline:
        return job
    allowed = job.deadline - (job.start_at or job.created_at)
    reason = f"Job timed out after {allowed.total_seconds():.0f}s"
    try:
        return finish(engine, plan, job, JobStatus.CANCELLED, reason=reason)
    except ConflictError:
        return engine.jobs.get(job.job_id)


def after_end(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> None:
    """Do what the ended job still has to do, in order; stop where one must be come back to."""
    for action, carry_out in _IN_ORDER:
        if action not in state.job.after:
            continue
        if not carry_out(engine, agenda, plan, state):
            return
        engine.jobs.after_done(state.job.job_id, action)


def _after_actions(
    plan: Plan, job: Job, status: JobStatus, retry_job: str | None
) -> frozenset[AfterAction]:
    wanted = {
        AfterAction.STOP_STEPS: status is JobStatus.CANCELLED,
        AfterAction.RELEASE: bool(job.slots),
        AfterAction.RETRY: retry_job is not None,
        AfterAction.PARENT: job.parent is not None,
        # Of a chain of tries only the last one's hooks fire.
        AfterAction.HOOKS: retry_job is None and bool(hooks.of_end(plan, job, status)),
        AfterAction.NOTIFY: retry_job is None and bool(notifications.of_end(plan, job, status)),
        AfterAction.ARCHIVE_LOG: True,
    }
    return frozenset(action for action, is_wanted in wanted.items() if is_wanted)


def _stop_steps(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> bool:
    """Halt every step of the cancelled job that might go on; say whether all have ended.

    A step that goes on in the meantime, time and again, is left for the next look.
    """
    job_id = state.job.job_id
    state = rerun_records.seeded(engine, state)
    for _ in range(_HALT_ROUNDS):
        steps = unhalted(plan.flow, state)
        if not steps:
            break
        for step in steps:
            with suppress(ConflictError):
                ref, seen = StepRef(job_id, step), state.steps.get(step)
                engine.jobs.halt_step(ref, seen, engine.clock.now())
        state = engine.jobs.load(job_id)
    for record in state.steps.values():
        if record.status.is_terminal:
            continue
        if record.child is not None:
            children.stop(engine, agenda, state.job, record)
        elif record.loop is not None:
            loops.stop(engine, agenda, plan, state, record)
    state = engine.jobs.load(job_id)
    return all(status.is_terminal for status in derive(plan.flow, state).values())


def _archive(engine: Engine, _agenda: Agenda, plan: Plan, state: JobState) -> bool:
    if state.job.after != {AfterAction.ARCHIVE_LOG}:
        # The log tells what the actions before this one did.
        state = engine.jobs.load(state.job.job_id)
    archive_log(engine.blobs, engine.logs, plan.flow, loops.with_instances(engine, state))
    return True


_IN_ORDER: tuple[tuple[AfterAction, Callable[[Engine, Agenda, Plan, JobState], bool]], ...] = (
    (AfterAction.STOP_STEPS, _stop_steps),
    (AfterAction.RELEASE, concurrency.release),
    (AfterAction.RETRY, retries.again),
    (AfterAction.PARENT, children.propagate),
    (AfterAction.HOOKS, hooks.fire),
    (AfterAction.NOTIFY, notifications.enqueue),
    (AfterAction.ARCHIVE_LOG, _archive),
)
