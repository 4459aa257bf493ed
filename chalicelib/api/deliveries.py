"""Routes of what is told outside of a job's end: the log, and once more."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.hooks_shapes import DeliveryList, DeliveryShape, delivery_shape
from chalicelib.domain.callers import Permission
from chalicelib.engine import notifications

bp = Blueprint(__name__)


@bp.route("/jobs/{job_id}/deliveries", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List what was, and is to be, told outside of the job's end",
        answer=DeliveryList,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def job_deliveries(call: Call, job_id: str) -> DeliveryList:
    views = notifications.views(call.engine, call.require_job(job_id))
    return DeliveryList(items=[delivery_shape(view) for view in views])


@bp.route("/jobs/{job_id}/deliveries/{delivery}/redeliver", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Send a delivery once more, under its own id, within a minute",
        answer=DeliveryShape,
        errors=(404, 409),
        needs=Permission.JOB_EXECUTE,
    ),
)
def redeliver(call: Call, job_id: str, delivery: str) -> DeliveryShape:
    job_id = call.require_job(job_id)
    delivery_id = checked_id(delivery, "a delivery")
    return delivery_shape(notifications.redeliver(call.engine, job_id, delivery_id))
