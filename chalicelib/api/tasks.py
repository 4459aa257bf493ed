"""Routes of tasks and triggers: lists, detail, execute, pause. Source: HTTP API, section 4.1."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.jobs_shapes import Created, ExecuteBody
from chalicelib.api.tasks_shapes import (
    TaskDetail,
    TaskList,
    TaskPaused,
    TriggerList,
    task_detail,
    task_row,
    trigger_shape,
)
from chalicelib.domain.errors import InvalidError
from chalicelib.engine import jobs, pausing, queries_registry, reruns
from chalicelib.engine.jobs import JobRequest

bp = Blueprint(__name__)

KEY_HEADER = "Idempotency-Key"
IDEMPOTENT = {KEY_HEADER: "The same key makes at most one job in a workspace."}
LONGEST_KEY = 255


@bp.route("/tasks", methods=["GET"])
@answered(bp, Operation(summary="List the tasks of all workspaces", answer=TaskList))
def all_tasks(call: Call) -> TaskList:
    return TaskList([task_row(view) for view in queries_registry.task_views(call.engine)])


@bp.route("/workspaces/{ws}/tasks", methods=["GET"])
@answered(bp, Operation(summary="List a workspace's tasks", answer=TaskList, errors=(404,)))
def workspace_tasks(call: Call, ws: str) -> TaskList:
    return TaskList([task_row(view) for view in queries_registry.task_views(call.engine, ws)])


@bp.route("/workspaces/{ws}/tasks/{task}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show a task: inputs, flow, triggers with their next runs",
        answer=TaskDetail,
        errors=(404,),
    ),
)
def get_task(call: Call, ws: str, task: str) -> TaskDetail:
    return task_detail(call.engine, queries_registry.task_view(call.engine, ws, task))


@bp.route("/workspaces/{ws}/triggers", methods=["GET"])
@answered(bp, Operation(summary="List a workspace's triggers", answer=TriggerList, errors=(404,)))
def workspace_triggers(call: Call, ws: str) -> TriggerList:
    found = queries_registry.triggers(call.engine, ws)
    paused = call.engine.registry.paused_tasks(ws)
    return TriggerList([trigger_shape(call.engine, trigger, paused) for trigger in found])


@bp.route("/workspaces/{ws}/tasks/{task}/execute", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Create a job that runs the task",
        answer=Created,
        body=ExecuteBody,
        headers=IDEMPOTENT,
        errors=(404, 413, 422),
    ),
)
def execute_task(call: Call, ws: str, task: str) -> Created:
    body = call.body(ExecuteBody)
    queries_registry.workspace_of(call.engine, ws)
    request = JobRequest(
        workspace=ws,
        task=task,
        input=body.input,
        idempotency_key=idempotency_key(call),
        priority=body.priority,
    )
    if body.source_job_id is None:
        job = jobs.create(call.engine, request)
    else:
        job = reruns.execute_again(call.engine, request, checked_id(body.source_job_id))
    return Created(job_id=job.job_id)


@bp.route("/workspaces/{ws}/tasks/{task}/pause", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Pause the triggers of a task; its jobs go on",
        answer=TaskPaused,
        errors=(404,),
    ),
)
def pause_task(call: Call, ws: str, task: str) -> TaskPaused:
    pausing.pause_task(call.engine, ws, task, paused=True)
    return TaskPaused(paused=True)


@bp.route("/workspaces/{ws}/tasks/{task}/resume", methods=["POST"])
@answered(
    bp,
    Operation(summary="Let the triggers of a task go on", answer=TaskPaused, errors=(404,)),
)
def resume_task(call: Call, ws: str, task: str) -> TaskPaused:
    pausing.pause_task(call.engine, ws, task, paused=False)
    return TaskPaused(paused=False)


def idempotency_key(call: Call) -> str | None:
    """Return the key that the request came with.

    Raises:
        InvalidError: it is empty or too long.
    """
    key = call.header(KEY_HEADER)
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InvalidError(f"{KEY_HEADER} must have 1 to {LONGEST_KEY} characters")
    return key
