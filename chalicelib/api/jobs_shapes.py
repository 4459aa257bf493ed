"""Jobs as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chalicelib.api.bodies import Body, Query
from chalicelib.api.shapes import Limit, MaybeNumber, Offset, Shape, Stamp
from chalicelib.domain.job import Job, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.engine.queries import JobView, StepView

# Every job runs so, whatever its task's `mode` says: there is no server to run in.
MODE = "distributed"


class ExecuteBody(Body):
    """What a job is to run with. `source_job_id` names a job to run again."""

    input: dict[str, Any] = Field(default_factory=dict)
    source_job_id: str | None = None


class Created(Shape):
    """The job, new or the one that the same idempotency key made before."""

    job_id: str


class JobsQuery(Query):
    """Which jobs to list. With `cursor` (empty: the beginning) no total and no offset."""

    workspace: str | None = None
    task_name: str | None = None
    status: JobStatus | None = None
    source_type: SourceType | None = None
    search: Annotated[str, Field(max_length=200)] = ""
    limit: Limit = 50
    offset: Offset = 0
    cursor: str | None = None


class LogQuery(Query):
    """With `after`, the lines behind the first so many."""

    after: Annotated[int | None, Field(ge=0)] = None


class JobRow(Shape):
    """A job in a list."""

    job_id: str
    workspace: str
    task_name: str
    mode: str = MODE
    status: JobStatus
    source_type: SourceType
    source_id: str | None
    revision: str | None
    created_at: Stamp
    started_at: Stamp | None
    completed_at: Stamp | None
    retry_of_job_id: str | None = None
    retry_job_id: str | None = None
    retry_attempt: int = 0
    max_retries: int | None = None


class JobList(Shape):
    """A page of jobs, newest first. `next_cursor` is null on the last."""

    items: list[JobRow]
    total: MaybeNumber
    next_cursor: str | None


class PastAttempt(Shape):
    """An attempt that failed and was followed by another."""

    attempt: int
    error: str
    started_at: Stamp | None
    failed_at: Stamp


class StepRow(Shape):
    """A step of a job. `input` is what the flow says, its templates not rendered."""

    step_name: str
    action_name: str
    action_type: str
    action_image: str | None
    runner: str | None
    input: Any
    output: Any
    status: StepStatus
    worker_id: str | None
    started_at: Stamp | None
    completed_at: Stamp | None
    suspended_at: Stamp | None = None
    error_message: str | None
    when_condition: str | None
    for_each_expr: Any
    loop_source: str | None = None
    loop_index: int | None = None
    loop_total: int | None = None
    depends_on: list[str]
    retry_attempt: int
    max_retries: int | None
    retry_history: list[PastAttempt]
    retry_at: Stamp | None


class Layout(Shape):
    """Steps by their longest way from a root: what one layer holds may run at once."""

    layers: list[list[str]]


class JobDetail(JobRow):
    """A job with its steps, each behind what it depends on."""

    input: Any
    raw_input: Any
    output: Any
    source_job_id: str | None = None
    restart_from_step: str | None = None
    worker_id: str | None = None
    steps: list[StepRow]
    layout: Layout


class Log(Shape):
    """JSON lines, each with ts, stream, step and line. `next` is the `after` that goes on."""

    logs: str
    next: MaybeNumber


class Cancelled(Shape):
    """The job is cancelled; steps that ran are being stopped."""

    status: str = "cancelled"


class Counts(Shape):
    """Jobs by status."""

    pending: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0


def row_of(job: Job) -> JobRow:
    """Return the job as a row of a list."""
    return JobRow(**_row(job))


def detail_of(view: JobView) -> JobDetail:
    """Return everything about a job."""
    return JobDetail(
        **_row(view.job),
        input=view.input,
        raw_input=view.input,
        output=view.output,
        steps=[_step_of(view, step) for step in view.steps],
        layout=Layout(layers=[list(layer) for layer in view.layers]),
    )


def _row(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "workspace": job.workspace,
        "task_name": job.task,
        "status": job.status,
        "source_type": job.source_type,
        "source_id": job.source_id,
        "revision": job.revision,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
    }


def _step_of(view: JobView, shown: StepView) -> StepRow:
    step, record = shown.step, shown.record
    action = view.plan.definition.action_of(step)
    return StepRow(
        step_name=step.key,
        action_name=step.action,
        action_type=action.type.value,
        action_image=action.image,
        runner=action.runner.value,
        input=shown.input,
        output=shown.output,
        status=shown.status,
        error_message=shown.error,
        when_condition=step.when,
        for_each_expr=step.for_each,
        depends_on=list(step.depends_on),
        max_retries=shown.retries,
        **_recorded(shown, record),
    )


def _recorded(shown: StepView, record: StepRecord | None) -> dict[str, Any]:
    if record is None:
        fields: dict[str, Any] = dict.fromkeys(
            ("worker_id", "started_at", "completed_at", "retry_at")
        )
        return fields | {"retry_attempt": 0, "retry_history": []}
    return {
        "worker_id": record.session,
        "started_at": record.started_at,
        "completed_at": record.completed_at,
        "retry_at": record.retry_at,
        "retry_attempt": record.attempt - 1,
        "retry_history": [
            PastAttempt(
                attempt=past.attempt,
                error=error,
                started_at=past.started_at,
                failed_at=past.failed_at,
            )
            for past, error in zip(record.history, shown.past_errors, strict=True)
        ],
    }
