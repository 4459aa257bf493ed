"""The jobs that a run on this machine leads to: its sub-jobs, its hooks' jobs, its next tries.

The one rule: the run is over when none of them is open, and it ended as its last try did. What no
queue brings back, a stack's sweep begins; here it is looked for while nothing else is to be done.
"""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.job import JobState
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import flow_key
from chalicelib.domain.plan import Begin, decide
from chalicelib.engine import loops
from chalicelib.engine.advance import advance
from chalicelib.engine.engine import Engine

_EVER = timedelta(days=365)
_MOST = 100_000


def open_jobs(engine: Engine) -> list[str]:
    """Return the jobs that have not ended, or leave something to do."""
    return engine.jobs.due(engine.clock.now() + _EVER, _MOST)


def last_try(engine: Engine, job_id: str) -> str:
    """Return the job that tried the task last."""
    while (after := engine.jobs.get(job_id).retry_job) is not None:
        job_id = after
    return job_id


def begin_in_time(engine: Engine, job_id: str) -> None:
    """Begin what is the engine's to begin and had to wait for its time."""
    state = engine.jobs.load(job_id)
    if not state.job.status.is_terminal and _is_time(engine, state):
        advance(engine, job_id)


def _is_time(engine: Engine, state: JobState) -> bool:
    flow, now = engine.plan_of(state.job).flow, engine.clock.now()
    if any(isinstance(command, Begin) for command in decide(flow, state, now)):
        return True
    return any(
        record.status is StepStatus.READY
        and flow_key(record.step) in flow.by_engine
        and (record.retry_at is None or record.retry_at <= now)
        for record in loops.at_work(engine, state)
    )
