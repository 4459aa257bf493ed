"""Routes of backfills: preview, begin, follow, cancel. Source: HTTP API, section 4.1."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.triggers import visible_trigger
from chalicelib.api.triggers_shapes import (
    BackfillAnswer,
    BackfillBody,
    BackfillList,
    BackfillQuery,
    BackfillShape,
    backfill_shape,
    instant_in,
    preview_answer,
)
from chalicelib.domain.callers import Permission, by_of
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.workflow import Trigger
from chalicelib.engine import backfills, queries_registry
from chalicelib.engine.backfills import BackfillRequest

bp = Blueprint(__name__)


@bp.route("/workspaces/{ws}/triggers/{name}/backfill", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Run a schedule for the times between two, or tell which these are",
        answer=BackfillAnswer,
        body=BackfillBody,
        errors=(404, 422),
        needs=Permission.JOB_EXECUTE,
    ),
)
def backfill_trigger(call: Call, ws: str, name: str) -> BackfillAnswer:
    body = call.body(BackfillBody)
    visible_trigger(call, ws, name)
    request = BackfillRequest(
        workspace=ws,
        trigger=name,
        first=instant_in(body.first, "from"),
        last=instant_in(body.last, "to"),
        max_parallel=body.max_parallel,
        by=by_of(call.caller),
    )
    if body.preview:
        return preview_answer(backfills.preview(call.engine, request))
    begun = backfills.begin(call.engine, request)
    shape = backfill_shape(backfills.progress(call.engine, ws, begun.backfill_id))
    return BackfillAnswer(total=begun.total, times=[], backfill=shape)


@bp.route("/workspaces/{ws}/backfills", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List a workspace's backfills, newest first",
        answer=BackfillList,
        query=BackfillQuery,
        errors=(404,),
        needs=Permission.JOB_READ,
    ),
)
def list_backfills(call: Call, ws: str) -> BackfillList:
    call.require(ws)
    queries_registry.workspace_of(call.engine, ws)
    found = call.engine.backfills.of_workspace(ws, call.query(BackfillQuery).limit)
    tasks = {one.key: one for one in queries_registry.triggers(call.engine, ws)}
    shown = [one for one in found if _sees(call, ws, tasks.get(one.trigger))]
    each = (backfills.progress(call.engine, ws, one.backfill_id) for one in shown)
    return BackfillList([backfill_shape(one) for one in each])


@bp.route("/workspaces/{ws}/backfills/{backfill_id}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show how far a backfill has come",
        answer=BackfillShape,
        errors=(404,),
        needs=Permission.JOB_READ,
    ),
)
def get_backfill(call: Call, ws: str, backfill_id: str) -> BackfillShape:
    checked = _backfill(call, ws, backfill_id)
    return backfill_shape(backfills.progress(call.engine, ws, checked))


@bp.route("/workspaces/{ws}/backfills/{backfill_id}/cancel", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Make no more jobs, and cancel those that have not ended",
        answer=BackfillShape,
        errors=(404, 409),
        needs=Permission.EXECUTION_STOP,
    ),
)
def cancel_backfill(call: Call, ws: str, backfill_id: str) -> BackfillShape:
    checked = _backfill(call, ws, backfill_id)
    backfills.cancel(call.engine, ws, checked)
    return backfill_shape(backfills.progress(call.engine, ws, checked))


def _backfill(call: Call, ws: str, backfill_id: str) -> str:
    """Return the id if the caller may do with the trigger's task what the route needs."""
    checked = checked_id(backfill_id, "a backfill")
    call.require(ws)
    record = backfills.progress(call.engine, ws, checked).backfill
    found = {one.key: one for one in queries_registry.triggers(call.engine, ws)}
    trigger = found.get(record.trigger)
    if not _sees(call, ws, trigger):
        raise NotFoundError(f"workspace {ws!r} has no backfill {checked!r}")
    if trigger is not None:
        call.require(ws, trigger.task)
    return checked


def _sees(call: Call, ws: str, trigger: Trigger | None) -> bool:
    """Say whether it may be told of; one that is gone, to who sees all of the workspace."""
    return call.rights.sees_all(ws) if trigger is None else call.rights.sees_trigger(ws, trigger)
