"""The sweep: set going again what a crash, a lost message or a dead worker left behind.

The `due` index nominates, the strongly read item decides; two sweeps at once are harmless.
Every status that is not terminal is owned by a rule here: a pending or running job by `look`, a
ready step by its re-dispatch, a running step by the check of its session and its timeout, a
suspended one by its timeout, a loop by its turn, a sub-job's step by the sub-job that is ensured,
an ended job with after-actions by `after_end`.
Source: protocol, "Sweep"; I8.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.due import LONGEST, next_due
from chalicelib.domain.errors import ConflictError, NotFoundError, StroemError, UnavailableError
from chalicelib.domain.job import Job, JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import flow_key
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import SILENT_AFTER, WorkerRecord, WorkerStatus
from chalicelib.engine import approvals, children, loops, waiting
from chalicelib.engine.advance import act, run
from chalicelib.engine.agenda import Agenda, Stop
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.steps import EndedBy, Hold, fail

BATCH = 100
# A worker ends a step that is over its time by itself; this is how long it may take to do so.
TIMEOUT_GRACE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did: jobs looked at, looks that a fault cut off, sessions found dead."""

    looked: int = 0
    failed: int = 0
    silent: int = 0


def sweep(engine: Engine) -> Swept:
    """Look at every dead session and every job that is due.

    One job's fault does not stop the rest. When a session has just died, all jobs that are not yet
    due are looked at too: it may have claimed steps that no heartbeat told of.
    """
    now = engine.clock.now()
    silent = sweep_sessions(engine, now)
    looked = failed = 0
    for job_id in engine.jobs.due(now + 2 * LONGEST if silent else now, BATCH):
        try:
            look(engine, job_id)
            looked += 1
        except StroemError:
            failed += 1
    return Swept(looked, failed, silent)


def sweep_sessions(engine: Engine, now: datetime) -> int:
    """Make silent sessions inactive and fail what they said to run; return how many there were."""
    silent = 0
    for session in engine.registry.workers():
        late = now - session.last_heartbeat > SILENT_AFTER
        if session.status is not WorkerStatus.ACTIVE or not late:
            continue
        if engine.registry.worker_silent(session):
            silent += 1
            for job_id in dict.fromkeys(ref.job_id for ref in session.running or ()):
                # What goes wrong here, the job's own look comes back to.
                with suppress(StroemError):
                    state = engine.jobs.load(job_id)
                    _fail_overdue(engine, state, _at_work(engine, state))
    return silent


def look(engine: Engine, job_id: str) -> None:
    """Set one job going again, whatever it is that it waits for in vain."""
    try:
        state = engine.jobs.load(job_id)
    except NotFoundError:
        return
    try:
        at_work = _at_work(engine, state)
    except StroemError:
        # A job that cannot be looked at keeps no other from its turn.
        _postpone(engine, state, ())
        raise
    _postpone(engine, state, at_work)
    if _fail_overdue(engine, state, at_work):
        state = engine.jobs.load(job_id)
        at_work = _at_work(engine, state)
    if waiting.unclaimed(engine, engine.plan_of(state.job), state):
        state = engine.jobs.load(job_id)
    agenda = Agenda()
    with suppress(ConflictError):
        _mend(engine, agenda, state, at_work)
        act(engine, agenda, state)
    run(engine, agenda)


def _at_work(engine: Engine, state: JobState) -> list[StepRecord]:
    """Return the records of the steps and instances that have begun and not ended."""
    own = [record for record in state.steps.values() if not record.status.is_terminal]
    return own + loops.at_work(engine, state)


def _postpone(engine: Engine, state: JobState, at_work: Sequence[StepRecord]) -> None:
    now, job = engine.clock.now(), state.job
    if job.due is None or job.due > now:
        # Nominated before its time: such a look must not put off the one that is due.
        return
    looks = job.looks + 1
    wanted = [job.start_at, job.deadline, *(record.retry_at for record in at_work)]
    if at_work:
        # A definition that is not to be had keeps the job from its timeouts, not from its look.
        with suppress(NotFoundError, UnavailableError):
            plan = engine.plan_of(job)
            wanted += [overdue_at(engine, plan, job, record) for record in at_work]
    with suppress(NotFoundError, UnavailableError):
        wanted += waiting.looks(engine, engine.plan_of(job), state)
    due = next_due(now, looks, [instant for instant in wanted if instant is not None])
    engine.jobs.postpone(job.job_id, due, looks)


def overdue_at(engine: Engine, plan: Plan, job: Job, record: StepRecord) -> datetime | None:
    """Return when the step is over its time for good; None when it never is.

    What a worker runs is also over its time when its job's deadline has passed.
    """
    timeout_s = plan.flow.steps[flow_key(record.step)].timeout_s
    if record.loop is not None:
        return None
    if record.status is StepStatus.SUSPENDED:
        return _after(record.suspended_at, timeout_s)
    if record.child is not None:
        return _after(record.started_at, timeout_s)
    ends = (
        _after(record.started_at, timeout_s or engine.limits.default_step_timeout_s),
        job.deadline if record.status is StepStatus.RUNNING else None,
    )
    return min((end + TIMEOUT_GRACE for end in ends if end is not None), default=None)


def _after(began: datetime | None, timeout_s: int | None) -> datetime | None:
    if began is None or timeout_s is None:
        return None
    return began + timedelta(seconds=timeout_s)


def _fail_overdue(engine: Engine, state: JobState, at_work: Sequence[StepRecord]) -> bool:
    """Fail the steps that no live session holds or that are over their time.

    Says whether there were any.
    """
    plan = engine.plan_of(state.job)
    found = False
    for record in at_work:
        error = _overdue_error(engine, plan, state, record)
        if error is None:
            continue
        found = True
        hold = Hold(StepRef(state.job.job_id, record.step), record.attempt, record.lease or "")
        with suppress(ConflictError):
            fail(engine, hold, error, by=EndedBy.SWEEP)
        if record.child is not None:
            agenda = Agenda()
            agenda.cancel(record.child, Stop(f"Its step {record.step!r} timed out"))
            with suppress(NotFoundError):
                run(engine, agenda)
    return found


def _overdue_error(engine: Engine, plan: Plan, state: JobState, record: StepRecord) -> str | None:
    """Say why the step must end now; None when it need not."""
    if record.status is StepStatus.READY or record.loop is not None:
        return None
    by_worker = record.status is StepStatus.RUNNING and record.child is None
    if by_worker and not _is_held(engine, state, record):
        return _lost_error(record)
    overdue = overdue_at(engine, plan, state.job, record)
    if overdue is None or overdue > engine.clock.now():
        return None
    if record.status is StepStatus.SUSPENDED:
        return "Approval timed out"
    if record.child is not None:
        return f"Step timed out: its sub-job {record.child} did not end in time"
    return f"Step timed out: its worker {record.worker or 'unknown'} did not end it"


def _mend(engine: Engine, agenda: Agenda, state: JobState, at_work: Sequence[StepRecord]) -> None:
    """Make the sub-jobs and tell of the suspensions that a crash kept from it."""
    if state.job.status.is_terminal:
        return
    plan = engine.plan_of(state.job)
    for record in at_work:
        ref = StepRef(state.job.job_id, record.step)
        if record.child is not None and record.status is StepStatus.RUNNING:
            children.ensure(engine, agenda, plan, state, ref, record)
        elif record.tell:
            approvals.tell(engine, agenda, plan, state, ref, record)


def _is_held(engine: Engine, state: JobState, record: StepRecord) -> bool:
    session = _session(engine, record)
    ref = StepRef(state.job.job_id, record.step)
    return session is not None and session.holds(ref, record.started_at, engine.clock.now())


def _session(engine: Engine, record: StepRecord) -> WorkerRecord | None:
    try:
        return engine.registry.worker(record.session or "")
    except NotFoundError:
        return None


def _lost_error(record: StepRecord) -> str:
    return (
        f"Worker lost: worker {record.worker or 'unknown'} (session {record.session}) "
        f"stopped answering during attempt {record.attempt}"
    )
