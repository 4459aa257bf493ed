"""Try a task again whose job failed, by a new job.

The id of the next job is written with the end of the one before it, so that there is at most one.
Source: state machines, section 3.10; decision 6.
"""

from __future__ import annotations

import json

from chalicelib.domain.inputs import CheckedInput
from chalicelib.domain.job import Job, JobState, Note
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.logs import stamp
from chalicelib.domain.retry import attempts_left, next_delay
from chalicelib.domain.workflow import Retry
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.concurrency import of_maker
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.making import NewJob, derived_id, make
from chalicelib.engine.payloads import load_blob, load_object


def next_job(plan: Plan, job: Job, status: JobStatus) -> str | None:
    """Return the id of the job that tries the task again; None when none does.

    A sub-job is tried again by its step, what a hook made not at all.
    """
    if status is not JobStatus.FAILED or job.parent is not None or job.from_hook:
        return None
    if not attempts_left(plan.task.retry, _attempt(job)):
        return None
    return derived_id(job.job_id, "retry")


def again(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> bool:
    """Make the job that tries the task again; say whether it is done."""
    job, policy = state.job, plan.task.retry
    if job.retry_job is None or policy is None:
        return True
    made, _ = make(engine, _next(engine, plan, job, policy))
    at = made.start_at or made.created_at
    text = (
        f"Task '{job.task}' is tried again at {stamp(at)} by job {made.job_id} "
        f"(attempt {_attempt(made)} of {policy.max_attempts})"
    )
    engine.jobs.tell(job.job_id, Note("retry", engine.clock.now(), text))
    agenda.look(made.job_id)
    return True


def _next(engine: Engine, plan: Plan, job: Job, policy: Retry) -> NewJob:
    delay = next_delay(policy, _attempt(job), engine.ids.draw())
    return NewJob(
        job_id=job.retry_job or "",
        workspace=job.workspace,
        revision=job.revision,
        definition=plan.definition,
        task=plan.task,
        input=_input_of(engine, job),
        source_type=SourceType.RETRY,
        source_id=job.job_id,
        start_at=engine.clock.now() + delay,
        priority=job.priority,
        retry_of=job.retry_of or job.job_id,
        retry_attempt=job.retry_attempt + 1,
        source_job=job.source_job,
        restart_from=job.restart_from,
        seed=job.seed,
        slots=of_maker(job),
        pins=job.pins,
    )


def _input_of(engine: Engine, job: Job) -> CheckedInput:
    secret = json.loads(load_blob(engine.blobs, job.secret_input)) if job.secret_input else {}
    return CheckedInput(load_object(engine.blobs, job.input), secret)


def _attempt(job: Job) -> int:
    """Return which try of the task the job is, from 1."""
    return job.retry_attempt + 1
