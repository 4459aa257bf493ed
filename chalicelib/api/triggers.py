"""Routes of triggers: list, run by hand, pause, enable.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.jobs_shapes import Created
from chalicelib.api.tasks import IDEMPOTENT, idempotency_key
from chalicelib.api.tasks_shapes import TriggerList, TriggerShape, trigger_shape
from chalicelib.api.triggers_shapes import NextQuery, TriggerState
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.workflow import Trigger
from chalicelib.engine import firing, queries_registry, schedules
from chalicelib.engine.queries_triggers import TriggerStates

bp = Blueprint(__name__)


@bp.route("/workspaces/{ws}/triggers", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List a workspace's triggers",
        answer=TriggerList,
        errors=(404,),
        needs=Permission.JOB_READ,
    ),
)
def workspace_triggers(call: Call, ws: str) -> TriggerList:
    call.require(ws)
    rights = call.rights
    found = queries_registry.triggers(call.engine, ws)
    states = TriggerStates.of(call.engine, ws)
    shown = [trigger for trigger in found if rights.sees_trigger(ws, trigger)]
    return TriggerList([trigger_shape(call.engine, trigger, states) for trigger in shown])


@bp.route("/workspaces/{ws}/triggers/{name}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show a trigger with its next runs",
        answer=TriggerShape,
        query=NextQuery,
        errors=(404,),
        needs=Permission.JOB_READ,
    ),
)
def get_trigger(call: Call, ws: str, name: str) -> TriggerShape:
    trigger, count = visible_trigger(call, ws, name), call.query(NextQuery).count
    return trigger_shape(call.engine, trigger, TriggerStates.of(call.engine, ws), count)


@bp.route("/workspaces/{ws}/triggers/{name}/run", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Run a trigger's task now, with the trigger's input",
        answer=Created,
        headers=IDEMPOTENT,
        errors=(404, 422),
        needs=Permission.JOB_EXECUTE,
    ),
)
def run_trigger(call: Call, ws: str, name: str) -> Created:
    visible_trigger(call, ws, name)
    job = firing.run_now(call.engine, ws, name, idempotency_key(call))
    return Created(job_id=job.job_id)


@bp.route("/workspaces/{ws}/triggers/{name}/pause", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Pause a trigger; its jobs go on",
        answer=TriggerState,
        errors=(404, 409),
        needs=Permission.JOB_WRITE,
    ),
)
def pause_trigger(call: Call, ws: str, name: str) -> TriggerState:
    return _switched(call, ws, name, paused=True)


@bp.route("/workspaces/{ws}/triggers/{name}/resume", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Let a paused trigger go on with its next time",
        answer=TriggerState,
        errors=(404, 409),
        needs=Permission.JOB_WRITE,
    ),
)
def resume_trigger(call: Call, ws: str, name: str) -> TriggerState:
    return _switched(call, ws, name, paused=False)


@bp.route("/workspaces/{ws}/triggers/{name}/enable", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Enable a trigger here, whatever its file says",
        answer=TriggerState,
        errors=(404, 409),
        needs=Permission.JOB_WRITE,
    ),
)
def enable_trigger(call: Call, ws: str, name: str) -> TriggerState:
    return _switched(call, ws, name, enabled=True)


@bp.route("/workspaces/{ws}/triggers/{name}/disable", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Disable a trigger here, whatever its file says",
        answer=TriggerState,
        errors=(404, 409),
        needs=Permission.JOB_WRITE,
    ),
)
def disable_trigger(call: Call, ws: str, name: str) -> TriggerState:
    return _switched(call, ws, name, enabled=False)


def _switched(
    call: Call, ws: str, name: str, *, paused: bool | None = None, enabled: bool | None = None
) -> TriggerState:
    trigger = visible_trigger(call, ws, name)
    record = schedules.switch(call.engine, ws, name, paused=paused, enabled=enabled)
    return TriggerState(name=name, enabled=record.is_enabled(trigger), paused=record.paused)


def visible_trigger(call: Call, ws: str, name: str) -> Trigger:
    """Return the trigger if the caller may do with its tasks what the route needs."""
    call.require(ws)
    found = {one.key: one for one in queries_registry.triggers(call.engine, ws)}.get(name)
    if found is None or not call.rights.sees_trigger(ws, found):
        raise NotFoundError(f"workspace {ws!r} has no trigger {name[:80]!r}")
    for task in (found.task, found.target_task):
        if task:
            call.require(ws, task)
    return found
