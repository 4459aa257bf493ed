"""The sweep: set going again what a crash, a lost message or a dead worker left behind.

The `due` index nominates, the strongly read item decides; two sweeps at once are harmless.
Every status that is not terminal is owned by a rule here:
a pending or running job by `look`, a ready step by its re-dispatch, a running step by the check of
its session and its timeout, an ended job with after-actions by `after_end`.
Source: protocol, "Sweep"; I8.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.due import LONGEST, next_due
from chalicelib.domain.errors import ConflictError, NotFoundError, StroemError, UnavailableError
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import SILENT_AFTER, WorkerRecord, WorkerStatus
from chalicelib.engine.advance import act
from chalicelib.engine.engine import Engine
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
                    _fail_overdue(engine, engine.jobs.load(job_id))
    return silent


def look(engine: Engine, job_id: str) -> None:
    """Set one job going again, whatever it is that it waits for in vain."""
    try:
        state = engine.jobs.load(job_id)
    except NotFoundError:
        return
    # First of all, so that a job which cannot be looked at keeps no other from its turn.
    _postpone(engine, state)
    if _fail_overdue(engine, state):
        state = engine.jobs.load(job_id)
    try:
        act(engine, state)
    except ConflictError:
        return


def _postpone(engine: Engine, state: JobState) -> None:
    now = engine.clock.now()
    if state.job.due is None or state.job.due > now:
        # Nominated before its time: such a look must not put off the one that is due.
        return
    looks = state.job.looks + 1
    wanted = [record.retry_at for record in state.steps.values() if record.retry_at]
    # A definition that is not to be had keeps the job from its timeouts, not from its next look.
    with suppress(NotFoundError, UnavailableError):
        wanted += [overdue for _, overdue in _running(engine, state) if overdue]
    due = next_due(now, looks, wanted)
    engine.jobs.postpone(state.job.job_id, due, looks)


def _running(engine: Engine, state: JobState) -> Iterator[tuple[StepRecord, datetime | None]]:
    """Yield the running steps, each with the instant at which its worker must have ended it."""
    for record in state.steps.values():
        if record.status is not StepStatus.RUNNING:
            continue
        step = engine.plan_of(state.job).flow.steps[record.step]
        timeout_s = step.timeout_s or engine.limits.default_step_timeout_s
        if timeout_s is None or record.started_at is None:
            yield record, None
        else:
            yield record, record.started_at + timedelta(seconds=timeout_s) + TIMEOUT_GRACE


def _fail_overdue(engine: Engine, state: JobState) -> bool:
    """Fail the running steps that no live session holds or that are over their time.

    Says whether there were any.
    """
    now = engine.clock.now()
    found = False
    for record, overdue in _running(engine, state):
        if not _is_held(engine, state, record):
            error = _lost_error(record)
        elif overdue is not None and overdue <= now:
            error = f"Step timed out: its worker {record.worker or 'unknown'} did not end it"
        else:
            continue
        found = True
        hold = Hold(StepRef(state.job.job_id, record.step), record.attempt, record.lease or "")
        with suppress(ConflictError):
            fail(engine, hold, error, by=EndedBy.SWEEP)
    return found


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
