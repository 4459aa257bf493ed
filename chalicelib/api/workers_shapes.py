"""Workers as people see them, as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from chalicelib.api.bodies import Query
from chalicelib.api.shapes import Limit, Offset, Shape, Stamp
from chalicelib.domain.job import Job, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord, WorkerStatus
from chalicelib.engine.engine import Engine
from chalicelib.engine.queries_registry import status_of


class WorkersQuery(Query):
    """Which page of the list."""

    limit: Limit = 50
    offset: Offset = 0


class WorkerRow(Shape):
    """One session: one start of one worker."""

    worker_id: str
    name: str
    status: WorkerStatus
    capabilities: list[str]
    tags: list[str]
    version: str | None
    last_heartbeat: Stamp
    registered_at: Stamp


class WorkerList(Shape):
    """Sessions, newest first."""

    items: list[WorkerRow]
    total: int


class WorkerStep(Shape):
    """A step that the session runs."""

    job_id: str
    workspace: str
    task_name: str
    step_name: str
    status: StepStatus
    started_at: Stamp | None
    completed_at: Stamp | None


class WorkerSteps(Shape):
    """What the session said to run at its last heartbeat."""

    items: list[WorkerStep]
    total: int


class WorkerDetail(WorkerRow):
    """A session with what it runs."""

    steps: WorkerSteps


def worker_row(engine: Engine, worker: WorkerRecord) -> WorkerRow:
    """Return the session as a row of the list."""
    return WorkerRow(
        worker_id=worker.worker_id,
        name=worker.name,
        status=status_of(engine, worker),
        capabilities=list(worker.capabilities),
        tags=list(worker.tags),
        version=worker.version,
        last_heartbeat=worker.last_heartbeat,
        registered_at=worker.registered_at,
    )


def worker_step(job: Job, ref: StepRef, record: StepRecord | None) -> WorkerStep:
    """Return one step that a session runs."""
    return WorkerStep(
        job_id=job.job_id,
        workspace=job.workspace,
        task_name=job.task,
        step_name=ref.step,
        status=record.status if record else StepStatus.PENDING,
        started_at=record.started_at if record else None,
        completed_at=record.completed_at if record else None,
    )
