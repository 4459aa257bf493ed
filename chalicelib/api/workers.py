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
from chalicelib.engine.queries_registry import steps_of

bp = Blueprint(__name__)

MAX_STEPS = 50


@bp.route("/workers", methods=["GET"])
@answered(bp, Operation(summary="List workers", answer=WorkerList, query=WorkersQuery))
def list_workers(call: Call) -> WorkerList:
    query = call.query(WorkersQuery)
    found = call.engine.registry.workers()
    shown = found[query.offset : query.offset + query.limit]
    return WorkerList(items=[worker_row(call.engine, w) for w in shown], total=len(found))


@bp.route("/workers/{worker_id}", methods=["GET"])
@answered(
    bp, Operation(summary="Show a worker and what it runs", answer=WorkerDetail, errors=(404,))
)
def get_worker(call: Call, worker_id: str) -> WorkerDetail:
    worker = call.engine.registry.worker(checked_id(worker_id, "a worker"))
    steps = [worker_step(*found) for found in steps_of(call.engine, worker, MAX_STEPS)]
    row = worker_row(call.engine, worker)
    return WorkerDetail(
        **row.model_dump(), steps=WorkerSteps(items=steps, total=len(worker.running or ()))
    )
