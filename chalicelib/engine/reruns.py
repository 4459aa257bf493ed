"""Run a job again: whole, from a step, or only what failed.

The one rule: secret values go from job to job inside the engine; who asks for the re-run gives
them back masked, as they were shown.
Source: HTTP API, "Rerun".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from chalicelib.domain.errors import InvalidError, NotFoundError, Violation
from chalicelib.domain.hooks import find_task, runnable
from chalicelib.domain.inputs import CheckedInput, check_input
from chalicelib.domain.job import SECRET_MASK, Job, JobState
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.masks import restored
from chalicelib.domain.plan import flow_of
from chalicelib.domain.reruns import (
    Start,
    StartFrom,
    Takeover,
    check_ended,
    check_useful,
    restart_of,
    taken_over,
    unchanged,
)
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Definition, Priority, Task
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.foreign import Bound, bind
from chalicelib.engine.jobs import JobRequest, launch
from chalicelib.engine.making import NewJob, derived_id
from chalicelib.engine.payloads import encode, load_blob, load_object
from chalicelib.engine.redaction import redactor_for
from chalicelib.engine.rerun_records import check_outputs, store_takeover


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunRequest:
    """A wish to run a job again.

    `edits` change single inputs of it. `newest`: on the workspace's newest revision instead of the
    job's own. The same `idempotency_key` makes at most one job in a workspace.
    """

    job_id: str
    edits: JsonObject | None = None
    start: Start = StartFrom.START
    newest: bool = False
    priority: Priority | None = None
    idempotency_key: str | None = None


def rerun(engine: Engine, request: RerunRequest) -> Job:
    """Make a job that runs the other one again, and send its first steps.

    Raises:
        NotFoundError: no such job.
        ConflictError: it has not ended, nothing of it failed, or its results are gone.
        InvalidError: the input does not fit, or there is no such step to start from.
        IdempotencyError: the key was used with another body.
    """
    state = engine.jobs.load(request.job_id)
    source, plan = state.job, engine.plan_of(state.job)
    check_ended(plan.flow, state)
    revision, bound = _revision(engine, source, plan, newest=request.newest)
    definition = bound.definition
    task = runnable(definition, source.task)
    inputs = _Inputs.of(engine, source, plan.definition)
    edits = inputs.restored(request.edits or {})
    takeover = _takeover(engine, request.start, state, plan, (task, definition))
    asked: list[JsonValue] = [
        source.job_id,
        request.edits,
        restart_of(request.start),
        request.newest,
        request.priority.value if request.priority else None,
    ]
    job_id, request_hash = _identity(engine, source.workspace, request.idempotency_key, asked)
    new = NewJob(
        job_id=job_id,
        workspace=source.workspace,
        revision=revision,
        definition=definition,
        task=task,
        input=inputs.checked(task, {**inputs.real, **edits}, definition),
        source_type=SourceType.RERUN,
        source_id=source.job_id,
        request_hash=request_hash,
        priority=request.priority or source.priority,
        from_hook=source.from_hook,
        source_job=source.job_id,
        restart_from=restart_of(request.start),
        seed=store_takeover(engine, source.workspace, job_id, takeover),
        pins=bound.pins,
    )
    return launch(engine, new)


def execute_again(engine: Engine, request: JobRequest, source_job: str) -> Job:
    """Make a job with the given input, whose masked values are those of another job of the task.

    It runs whole, on the newest revision. The other job need not have ended.

    Raises:
        NotFoundError: no such workspace or task.
        InvalidError: there is no such job, it is one of another task, or the input does not fit.
        IdempotencyError: the key was used with another body.
    """
    source = _source(engine, request, source_job)
    plan = engine.plan_of(source)
    revision, bound = _revision(engine, source, plan, newest=True)
    definition = bound.definition
    if request.task not in definition.tasks:
        raise NotFoundError(f"workspace {request.workspace!r} has no task {request.task!r}")
    task = runnable(definition, request.task)
    inputs = _Inputs.of(engine, source, plan.definition)
    priority = request.priority.value if request.priority else None
    asked: list[JsonValue] = [request.task, request.input, priority, source_job]
    key = request.idempotency_key
    job_id, request_hash = _identity(engine, request.workspace, key, asked)
    new = NewJob(
        job_id=job_id,
        workspace=request.workspace,
        revision=revision,
        definition=definition,
        task=task,
        input=inputs.checked(task, inputs.restored(request.input), definition),
        source_type=SourceType.RERUN,
        source_id=source_job,
        request_hash=request_hash,
        priority=request.priority,
        from_hook=source.from_hook,
        source_job=source_job,
        seed=store_takeover(engine, request.workspace, job_id, Takeover(source_job)),
        pins=bound.pins,
    )
    return launch(engine, new)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of a job: as it has them, as they are shown, and which of them are secret."""

    real: JsonObject
    shown: JsonObject
    secret: JsonObject

    @classmethod
    def of(cls, engine: Engine, job: Job, definition: Definition) -> _Inputs:
        masked = load_object(engine.blobs, job.input)
        secret: JsonObject = {}
        if job.secret_input is not None:
            secret = json.loads(load_blob(engine.blobs, job.secret_input))
        shown = redactor_for(engine, job, definition).value(dict(masked))
        return cls({**masked, **secret}, shown if isinstance(shown, dict) else {}, secret)

    def restored(self, given: JsonObject) -> JsonObject:
        return restored(given, self.shown, self.real)

    def checked(self, task: Task, given: JsonObject, definition: Definition) -> CheckedInput:
        """Check the input; what was secret stays so, whether or not its field says it."""
        checked = check_input(task.input, given, definition)
        values = {**checked.shown, **checked.secret}
        secret = {
            name: value
            for name, value in values.items()
            if name in checked.secret or (name in self.secret and self.secret[name] == value)
        }
        return CheckedInput({**values, **dict.fromkeys(secret, SECRET_MASK)}, secret)


def _source(engine: Engine, request: JobRequest, job_id: str) -> Job:
    try:
        source = engine.jobs.get(job_id)
    except NotFoundError as error:
        raise no_source(error.message) from None
    if (source.workspace, source.task) != (request.workspace, request.task):
        raise no_source(
            f"job {job_id} ran task {source.task!r} of workspace {source.workspace!r}: "
            f"it cannot be run again as {request.task!r} of {request.workspace!r}"
        )
    return source


def no_source(why: str) -> InvalidError:
    """Return what is said of a job that cannot be run again, or is hidden."""
    text = f"there is nothing to run again: {why}"
    return InvalidError(text, (Violation("/source_job_id", why),))


def _revision(engine: Engine, source: Job, plan: Plan, *, newest: bool) -> tuple[str, Bound]:
    """Return the revision to run, and its definition; the newest has the newest of others, too."""
    if not newest:
        return source.revision, Bound(plan.definition, source.pins, plan.owners)
    workspace = engine.registry.workspace(source.workspace)
    if workspace.revision is None:
        raise InvalidError(
            f"workspace {source.workspace!r} has no valid revision: {workspace.error}"
        )
    definition = engine.definitions.load(source.workspace, workspace.revision)
    task = find_task(definition, source.task)
    return workspace.revision, bind(engine, source.workspace, definition, task)


def _takeover(
    engine: Engine, start: Start, state: JobState, plan: Plan, new: tuple[Task, Definition]
) -> Takeover:
    task, definition = new
    flow = flow_of(task, definition.actions)
    same = unchanged((plan.task, plan.definition), new)
    takeover = taken_over(flow, same, plan.flow, state, start)
    if start is StartFrom.FAILED:
        check_useful(flow, same, state, takeover)
    check_outputs(engine, state, takeover)
    return takeover


def _identity(
    engine: Engine, workspace: str, key: str | None, asked: list[JsonValue]
) -> tuple[str, str | None]:
    """Return the id of the job, and what tells its request from others under the same key."""
    if key is None:
        return engine.ids.job_id(), None
    return derived_id(workspace, key), sha256(encode(["rerun", *asked])).hexdigest()
