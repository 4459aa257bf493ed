"""Routes of a job's steps: the answer to an approval, and a loop's instances.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.bodies import Body
from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.jobs_shapes import Instances, InstancesQuery, instances_of
from chalicelib.api.shapes import Shape, Stamp, Status
from chalicelib.domain.approvals import Answer
from chalicelib.domain.callers import Permission, by_of
from chalicelib.engine import answers, queries_jobs

bp = Blueprint(__name__)


class ApproveBody(Body):
    """The answer: `input` is the form of an approval, `rejection_reason` at most 4,096 bytes."""

    approved: bool
    input: dict[str, Any] = Field(default_factory=dict)
    rejection_reason: str | None = None


class ApprovalLinks(Shape):
    """Addresses at which whoever has them answers; null where the installation has no links."""

    approve: str | None
    reject: str | None
    expires_at: Stamp | None


@bp.route("/jobs/{job_id}/steps/{step}/approve", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Approve or reject a suspended step; the first answer counts",
        answer=Status,
        body=ApproveBody,
        errors=(404, 409),
        needs=Permission.JOB_EXECUTE,
    ),
)
def approve_step(call: Call, job_id: str, step: str) -> Status:
    body = call.body(ApproveBody)
    given = Answer(
        approved=body.approved,
        by=by_of(call.caller),
        input=body.input,
        reason=body.rejection_reason,
    )
    answers.answer(call.engine, call.require_job(job_id), step, given)
    return Status(status="approved" if body.approved else "rejected")


@bp.route("/jobs/{job_id}/steps/{step}/links", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Make one-click links that answer a suspended step",
        answer=ApprovalLinks,
        errors=(404, 409),
        needs=Permission.JOB_EXECUTE,
    ),
)
def approval_links(call: Call, job_id: str, step: str) -> ApprovalLinks:
    urls = answers.links(call.engine, call.require_job(job_id), step)
    return ApprovalLinks(approve=urls.approve, reject=urls.reject, expires_at=urls.expires_at)


@bp.route("/jobs/{job_id}/steps/{step}/instances", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List the instances of a loop by their indexes",
        answer=Instances,
        query=InstancesQuery,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def loop_instances(call: Call, job_id: str, step: str) -> Instances:
    query = call.query(InstancesQuery)
    job_id = call.require_job(job_id)
    page = queries_jobs.instances_page(call.engine, job_id, step, query.offset, query.limit)
    return instances_of(page, call.rights)
