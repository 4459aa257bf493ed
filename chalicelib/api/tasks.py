"""Routes of tasks and triggers: lists, detail, execute, pause. Source: HTTP API, section 4.1."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.jobs_shapes import Created, ExecuteBody
from chalicelib.api.tasks_shapes import (
    TaskDetail,
    TaskList,
    TaskPaused,
    task_detail,
    task_row,
)
from chalicelib.domain.callers import CallerKind, Permission, by_of
from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.lifecycle import SourceType
from chalicelib.engine import jobs, pausing, queries_registry, reruns
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.queries_registry import TaskView

bp = Blueprint(__name__)

KEY_HEADER = "Idempotency-Key"
IDEMPOTENT = {KEY_HEADER: "The same key makes at most one job in a workspace."}
LONGEST_KEY = 255


@bp.route("/tasks", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List the tasks of all workspaces", answer=TaskList, needs=Permission.JOB_READ
    ),
)
def all_tasks(call: Call) -> TaskList:
    return _rows(call, queries_registry.task_views(call.engine))


@bp.route("/workspaces/{ws}/tasks", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List a workspace's tasks",
        answer=TaskList,
        errors=(404,),
        needs=Permission.JOB_READ,
    ),
)
def workspace_tasks(call: Call, ws: str) -> TaskList:
    call.require(ws)
    return _rows(call, queries_registry.task_views(call.engine, ws))


@bp.route("/workspaces/{ws}/tasks/{task}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show a task: inputs, flow, triggers with their next runs",
        answer=TaskDetail,
        errors=(404,),
        needs=Permission.JOB_READ,
    ),
)
def get_task(call: Call, ws: str, task: str) -> TaskDetail:
    call.require(ws, task)
    may_run = call.rights.may(Permission.JOB_EXECUTE, ws, task)
    view = queries_registry.task_view(call.engine, ws, task)
    seen = tuple(one for one in view.triggers if call.rights.sees_trigger(ws, one))
    return task_detail(call.engine, replace(view, triggers=seen), may_run=may_run)


@bp.route("/workspaces/{ws}/tasks/{task}/execute", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Create a job that runs the task",
        answer=Created,
        body=ExecuteBody,
        headers=IDEMPOTENT,
        errors=(404, 413, 422),
        needs=Permission.JOB_EXECUTE,
    ),
)
def execute_task(call: Call, ws: str, task: str) -> Created:
    body = call.body(ExecuteBody)
    by_user = call.caller.kind is CallerKind.USER
    call.require(ws, task)
    request = JobRequest(
        workspace=ws,
        task=task,
        input=body.input,
        idempotency_key=idempotency_key(call),
        priority=body.priority,
        watched=body.watch,
        source_type=SourceType.USER if by_user else SourceType.API,
        source_id=None if call.caller.kind is CallerKind.OPEN else by_of(call.caller),
    )
    if body.source_job_id is None:
        job = jobs.create(call.engine, request)
    else:
        source = checked_id(body.source_job_id)
        _check_source(call, source)
        job = reruns.execute_again(call.engine, request, source)
    return Created(job_id=job.job_id)


@bp.route("/workspaces/{ws}/tasks/{task}/pause", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Pause the triggers of a task; its jobs go on",
        answer=TaskPaused,
        errors=(404,),
        needs=Permission.JOB_WRITE,
    ),
)
def pause_task(call: Call, ws: str, task: str) -> TaskPaused:
    call.require(ws, task)
    pausing.pause_task(call.engine, ws, task, paused=True)
    return TaskPaused(paused=True)


@bp.route("/workspaces/{ws}/tasks/{task}/resume", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Let the triggers of a task go on",
        answer=TaskPaused,
        errors=(404,),
        needs=Permission.JOB_WRITE,
    ),
)
def resume_task(call: Call, ws: str, task: str) -> TaskPaused:
    call.require(ws, task)
    pausing.pause_task(call.engine, ws, task, paused=False)
    return TaskPaused(paused=False)


def _rows(call: Call, views: Iterable[TaskView]) -> TaskList:
    rights = call.rights
    shown = [view for view in views if rights.sees(view.workspace.name, view.task.key)]
    may = Permission.JOB_EXECUTE
    return TaskList(
        [
            task_row(view, may_run=rights.may(may, view.workspace.name, view.task.key))
            for view in shown
        ]
    )


def _check_source(call: Call, job_id: str) -> None:
    """Refuse a hidden job in the words for one that does not exist."""
    with suppress(NotFoundError):
        if call.rights.sees_job(call.engine.jobs.get(job_id)):
            return
    raise reruns.no_source(f"there is no job {job_id}")


def idempotency_key(call: Call) -> str | None:
    """Return the key that the request came with.

    Raises:
        InvalidError: it is empty or too long, or no text.
    """
    key = call.header(KEY_HEADER)
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise InvalidError(f"{KEY_HEADER} must have 1 to {LONGEST_KEY} printable characters")
    return key
