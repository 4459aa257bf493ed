"""Create a job: check the input, write it, send its first steps.

The job exists from one conditional write on; what is cut off after it is repaired by the sweep.
Source: protocol, "Moves"; state machines, section 3.2.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

from chalicelib.domain.errors import (
    ConflictError,
    IdempotencyError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from chalicelib.domain.inputs import check_input
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Definition, Priority, Task
from chalicelib.engine.advance import start
from chalicelib.engine.engine import Engine
from chalicelib.engine.foreign import bind_runnable
from chalicelib.engine.making import NewJob, derived_id, make
from chalicelib.engine.payloads import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A wish to run a task. The same `idempotency_key` makes at most one job in a workspace.

    `watched`: who asks is about to watch it live, so its first step's worker is to know from the
    start.
    """

    workspace: str
    task: str
    input: JsonObject = field(default_factory=dict)
    source_type: SourceType = SourceType.API
    source_id: str | None = None
    idempotency_key: str | None = None
    priority: Priority | None = None
    watched: bool = False


def create(engine: Engine, request: JobRequest) -> Job:
    """Create the job and send its first steps.

    A repeat of an idempotent request returns the first job.

    Raises:
        NotFoundError: no such workspace or task.
        InvalidError: the input does not fit, or the task uses what is not executed yet.
        IdempotencyError: the key was used with another body.
    """
    workspace = engine.registry.workspace(request.workspace)
    if workspace.revision is None:
        raise InvalidError(
            f"workspace {request.workspace!r} has no valid revision yet: {workspace.error}"
        )
    definition = engine.definitions.load(request.workspace, workspace.revision)
    task = _task(definition, request)
    bound = bind_runnable(engine, request.workspace, definition, task)
    checked = check_input(task.input, request.input, definition)
    new = NewJob(
        job_id=_job_id(engine, request),
        workspace=request.workspace,
        revision=workspace.revision,
        definition=bound.definition,
        task=task,
        input=checked,
        source_type=request.source_type,
        source_id=request.source_id,
        request_hash=_request_hash(request),
        priority=request.priority,
        pins=bound.pins,
        watched=request.watched,
    )
    return launch(engine, new)


def launch(engine: Engine, new: NewJob) -> Job:
    """Make the job and send its first steps; return the one that its id stands for.

    Raises:
        IdempotencyError: the id stands for another request.
    """
    job, is_new = make(engine, new)
    if not is_new:
        _check_repeat(job, new.request_hash)
        return job
    # The job stands: who asked for it must not ask again because its first steps were not sent.
    with suppress(ConflictError, UnavailableError):
        start(engine, job)
    return job


def _task(definition: Definition, request: JobRequest) -> Task:
    task = definition.tasks.get(request.task)
    if task is None:
        raise NotFoundError(f"workspace {request.workspace!r} has no task {request.task!r}")
    return task


def _job_id(engine: Engine, request: JobRequest) -> str:
    """Return a new id, or the one that stands for the idempotency key. Source: decision 8."""
    if request.idempotency_key is None:
        return engine.ids.job_id()
    return derived_id(request.workspace, request.idempotency_key)


def _request_hash(request: JobRequest) -> str | None:
    if request.idempotency_key is None:
        return None
    asked: list[JsonValue] = [request.task, request.input]
    if request.priority is not None:
        asked.append(request.priority.value)
    return sha256(encode(asked)).hexdigest()


def _check_repeat(job: Job, request_hash: str | None) -> None:
    if job.request_hash != request_hash:
        raise IdempotencyError(
            # Not for which job: who asks need not be allowed to know of that.
            "the idempotency key was used with another task or input; use a new key for a new "
            "request"
        )
