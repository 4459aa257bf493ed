"""A job and its steps as messages tell them, in the words of the REST API. Pure.

One rule: the members of a job are those of its entry in `GET /api/jobs`, those of a step are among
those that `GET /api/jobs/{id}` gives, and `attempt`; inputs and outputs are never told.
Source: the page `live` of the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chalicelib.domain.instances import figures
from chalicelib.domain.job import Job, JobState, StepRecord
from chalicelib.domain.lifecycle import SourceType, StepStatus
from chalicelib.domain.logs import stamp
from chalicelib.domain.plan import Flow, derive
from chalicelib.domain.redactor import Redactor
from chalicelib.domain.values import JsonObject, JsonValue

_MODE = "distributed"
_LONGEST_TEXT = 1024


def entry(job: Job, retries: int | None, *, tells_source: bool) -> JsonObject:
    """Return the job's entry in a list; the job that made it is told to who sees all jobs."""
    is_job = job.source_type in (SourceType.TASK, SourceType.HOOK)
    return {
        "job_id": job.job_id,
        "workspace": job.workspace,
        "task_name": job.task,
        "mode": _MODE,
        "status": job.status.value,
        "source_type": job.source_type.value,
        "source_id": job.source_id if tells_source or not is_job else None,
        "revision": job.revision,
        "created_at": stamp(job.created_at),
        "started_at": _at(job.started_at),
        "completed_at": _at(job.completed_at),
        "retry_of_job_id": job.retry_of,
        "retry_job_id": job.retry_job,
        "retry_attempt": job.retry_attempt,
        "max_retries": retries,
        "source_job_id": job.source_job,
        "restart_from_step": job.restart_from,
        "paused": job.paused,
        "killed": job.killed,
        "priority": job.priority.value,
        "depth": job.depth,
        "start_at": _at(job.start_at),
        "deadline": _at(job.deadline),
    }


def steps(flow: Flow, state: JobState, redactor: Redactor) -> Iterator[JsonObject]:
    """Yield the steps that are not pending, in the flow's order."""
    for key, status in derive(flow, state).items():
        if status is not StepStatus.PENDING:
            yield _step(state, key, status, redactor)


def _step(state: JobState, key: str, status: StepStatus, redactor: Redactor) -> JsonObject:
    record = state.steps.get(key)
    if record is None:
        return {"step_name": key, "status": status.value}
    told: JsonObject = {
        "step_name": key,
        "status": status.value,
        "attempt": record.attempt,
        "retry_attempt": record.attempt - 1,
        "worker_id": record.session,
        "started_at": _at(record.started_at),
        "completed_at": _at(record.completed_at),
        "suspended_at": _at(record.suspended_at),
        "retry_at": _at(record.retry_at),
        "error_message": None if record.error is None else _cut(redactor.text(record.error)),
    }
    return told | _loop(state, record) | _asked(record, redactor)


def _loop(state: JobState, record: StepRecord) -> JsonObject:
    if record.loop is None:
        return {}
    found = figures(record, record.loop, state.loops.get(record.step, {}))
    figured: JsonObject = {
        "total": found.total,
        "done": found.done,
        "failed": found.failed,
        "running": found.running,
    }
    return {"loop_total": found.total, "loop": figured}


def _asked(record: StepRecord, redactor: Redactor) -> JsonObject:
    output = record.output.inline
    asked: JsonValue = output.get("approval_message") if isinstance(output, dict) else None
    if record.suspended_at is None or not isinstance(asked, str):
        return {}
    return {"approval_message": _cut(redactor.text(asked))}


def _at(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)


def _cut(text: str) -> str:
    kept = text.encode(errors="replace")
    if len(kept) <= _LONGEST_TEXT:
        return kept.decode()
    return kept[: _LONGEST_TEXT - len("…".encode())].decode(errors="ignore") + "…"
