"""Routes about workers, for people: list, detail. Source: HTTP API, section 4.1."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.workers_shapes import (
    WorkerDetail,
    WorkerList,
    WorkersQuery,
    WorkerSteps,
    worker_row,
    worker_step,
)
from chalicelib.domain.callers import Permission
from chalicelib.engine.queries_registry import steps_of

bp = Blueprint(__name__)

MAX_STEPS = 50


@bp.route("/workers", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List workers",
        answer=WorkerList,
        query=WorkersQuery,
        needs=Permission.EXECUTION_READ,
    ),
)
def list_workers(call: Call) -> WorkerList:
    query = call.query(WorkersQuery)
    found = call.engine.registry.workers()
    shown = found[query.offset : query.offset + query.limit]
    return WorkerList(items=[worker_row(call.engine, w) for w in shown], total=len(found))


@bp.route("/workers/{worker_id}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show a worker and what it runs",
        answer=WorkerDetail,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def get_worker(call: Call, worker_id: str) -> WorkerDetail:
    worker = call.engine.registry.worker(checked_id(worker_id, "a worker"))
    rights = call.rights
    held = worker.running or ()
    found = steps_of(call.engine, worker, len(held))
    steps = [worker_step(*one) for one in found if rights.sees_job(one[0])]
    row = worker_row(call.engine, worker)
    return WorkerDetail(
        **row.model_dump(), steps=WorkerSteps(items=steps[:MAX_STEPS], total=len(steps))
    )
