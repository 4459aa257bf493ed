"""What a job cost. Source: protocol, "Cost budget"."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.costs_shapes import CostQuery, JobCost, cost_of
from chalicelib.api.edge import Call, Operation, answered
from chalicelib.domain.callers import Permission
from chalicelib.engine.queries_costs import job_cost

bp = Blueprint(__name__)


@bp.route("/jobs/{job_id}/cost", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show what a job has cost so far, in requests and dollars at list prices",
        answer=JobCost,
        query=CostQuery,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def get_job_cost(call: Call, job_id: str) -> JobCost:
    mode = call.query(CostQuery).mode
    job_id = call.require_job(job_id)
    return cost_of(job_cost(call.engine, job_id, mode), call.rights)
