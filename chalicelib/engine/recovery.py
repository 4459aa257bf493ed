"""The sweep: find what a crash, a lost message or a dead worker left behind, and set it going
again.

The `due` index nominates, the strongly read item decides; two sweeps at once are harmless.
Every status that is not terminal is owned by a rule here:
a pending or running job by `look`, a ready step by its re-dispatch, a running step by the check of
its session, an ended job with after-actions by `after_end`. Source: protocol, "Sweep"; I8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.due import next_due
from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import SILENT_AFTER, WorkerRecord, WorkerStatus
from chalicelib.engine.advance import act
from chalicelib.engine.engine import Engine
from chalicelib.engine.steps import EndedBy, Hold, fail

BATCH = 100


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did: jobs looked at, looks that a fault cut off, sessions found dead."""

    looked: int = 0
    failed: int = 0
    silent: int = 0


def sweep(engine: Engine) -> Swept:
    """Look at every dead session and every job that is due.

    One job's fault does not stop the rest.
    """
    now = engine.clock.now()
    silent = sweep_sessions(engine, now)
    looked = failed = 0
    for job_id in engine.jobs.due(now, BATCH):
        try:
            look(engine, job_id)
            looked += 1
        except UnavailableError:
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
                _fail_lost_of(engine, job_id)
    return silent


def _fail_lost_of(engine: Engine, job_id: str) -> None:
    try:
        _fail_lost(engine, engine.jobs.load(job_id))
    except (NotFoundError, UnavailableError):
        # The job's own look comes back to it.
        return


def look(engine: Engine, job_id: str) -> None:
    """Set one job going again, whatever it is that it waits for in vain."""
    try:
        state = engine.jobs.load(job_id)
    except NotFoundError:
        return
    if _fail_lost(engine, state):
        state = engine.jobs.load(job_id)
    _postpone(engine, state)
    try:
        act(engine, state)
    except ConflictError:
        return


def _postpone(engine: Engine, state: JobState) -> None:
    looks = state.job.looks + 1
    retries = [record.retry_at for record in state.steps.values() if record.retry_at]
    due = next_due(engine.clock.now(), looks, retries)
    engine.jobs.postpone(state.job.job_id, due, looks)


def _fail_lost(engine: Engine, state: JobState) -> bool:
    """Fail the running steps that no live session holds; say whether there were any."""
    lost = [
        record
        for record in state.steps.values()
        if record.status is StepStatus.RUNNING and not _is_held(engine, state, record)
    ]
    for record in lost:
        hold = Hold(StepRef(state.job.job_id, record.step), record.attempt, record.lease or "")
        try:
            fail(engine, hold, _lost_error(record), by=EndedBy.SWEEP)
        except ConflictError:
            continue
    return bool(lost)


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
