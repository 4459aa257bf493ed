"""Jobs as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chalicelib.api.bodies import Body, Query
from chalicelib.api.shapes import (
    Limit,
    MaybeNumber,
    MaybeText,
    Offset,
    Shape,
    Stamp,
)
from chalicelib.api.steps_shapes import StepRow, step_of
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.workflow import Priority
from chalicelib.engine.access import Rights
from chalicelib.engine.queries import JobPage
from chalicelib.engine.queries_jobs import InstancesPage, JobView

# Every job runs so, whatever its task's `mode` says: there is no server to run in.
MODE = "distributed"


class ExecuteBody(Body):
    """What a job is to run with.

    `source_job_id` names a job of the task that it runs again: values that are masked are that
    one's. `priority` is the task's if not given. `watch`: whoever asks is about to watch it live.
    """

    input: dict[str, Any] = Field(default_factory=dict)
    source_job_id: str | None = None
    priority: Priority | None = None
    watch: bool = False


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

    after: Annotated[int | None, Field(ge=0, le=10**12)] = None


class JobRow(Shape):
    """A job in a list.

    `max_retries` is told of jobs that belong to a chain of tries. No step begins before `start_at`
    or goes on after `deadline`. `killed`: it was cancelled without grace.
    """

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
    retry_of_job_id: str | None
    retry_job_id: str | None
    retry_attempt: int
    max_retries: int | None
    source_job_id: str | None
    restart_from_step: str | None
    paused: bool
    killed: bool
    priority: Priority
    depth: int
    start_at: Stamp | None
    deadline: Stamp | None


class JobList(Shape):
    """A page of jobs, newest first. `next_cursor` is null on the last."""

    items: list[JobRow]
    total: MaybeNumber
    next_cursor: str | None


class Layout(Shape):
    """Steps by their longest way from a root: what one layer holds may run at once."""

    layers: list[list[str]]


class NoteRow(Shape):
    """Something that the engine says about a job."""

    at: Stamp
    text: str


class JobDetail(JobRow):
    """A job with its steps, each behind what it depends on, and instances behind their loop.

    `reason` says why it ended, where its steps do not; `waits_for` what keeps it from going on.
    Of the instances of loops there are up to 500; the route of a loop's instances has them all.
    """

    input: Any
    raw_input: Any
    output: Any
    worker_id: str | None = None
    parent_job_id: str | None
    parent_step_name: str | None
    rerun_job_ids: list[str]
    reason: str | None
    waits_for: MaybeText
    notes: list[NoteRow]
    steps: list[StepRow]
    layout: Layout


class InstancesQuery(Query):
    """From which index on, and how many."""

    limit: Limit = 50
    offset: Offset = 0


class Instances(Shape):
    """Instances of a loop by their indexes; none before its items are known."""

    items: list[StepRow]
    total: int


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


def rows_of(page: JobPage, rights: Rights) -> list[JobRow]:
    """Return the jobs as rows of a list."""
    retries = page.retries
    return [JobRow(**_row(job, retries.get(job.job_id), rights)) for job in page.jobs]


def detail_of(view: JobView, rights: Rights) -> JobDetail:
    """Return everything about a job that does not tell of another which is hidden."""
    job = view.job
    return JobDetail(
        **_row(job, view.retries, rights),
        input=view.input,
        raw_input=view.input,
        output=view.output,
        **_parent(job, rights),
        rerun_job_ids=sorted(job.reruns),
        reason=view.reason,
        waits_for=view.waits_for,
        notes=[NoteRow(at=note.at, text=note.text) for note in view.notes],
        steps=[step_of(view.plan, step, rights) for step in view.steps],
        layout=Layout(layers=[list(layer) for layer in view.layers]),
    )


def instances_of(page: InstancesPage, rights: Rights) -> Instances:
    """Return a part of a loop's instances."""
    rows = [step_of(page.plan, step, rights) for step in page.steps]
    return Instances(items=rows, total=page.total)


def _parent(job: Job, rights: Rights) -> dict[str, Any]:
    parent = job.parent.ref if job.parent else None
    shown = rights.shown(parent.job_id) if parent else None
    step = parent.step if parent and shown else None
    return {"parent_job_id": shown, "parent_step_name": step}


def _source(job: Job, rights: Rights) -> str | None:
    """Return what started the job; that of another task's job is told where all are seen."""
    if job.source_type in (SourceType.TASK, SourceType.HOOK):
        return job.source_id if rights.sees_all(job.workspace) else None
    return job.source_id


def _row(job: Job, retries: int | None, rights: Rights) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "workspace": job.workspace,
        "task_name": job.task,
        "status": job.status,
        "source_type": job.source_type,
        "source_id": _source(job, rights),
        "revision": job.revision,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "retry_of_job_id": job.retry_of,
        "retry_job_id": job.retry_job,
        "retry_attempt": job.retry_attempt,
        "max_retries": retries,
        "source_job_id": job.source_job,
        "restart_from_step": job.restart_from,
        "paused": job.paused,
        "killed": job.killed,
        "priority": job.priority,
        "depth": job.depth,
        "start_at": job.start_at,
        "deadline": job.deadline,
    }
