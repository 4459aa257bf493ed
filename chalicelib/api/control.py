"""Routes that change where a job goes: cancel, pause, resume, run again.

Source: HTTP API, section 4.1 and "Rerun".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.bodies import Body, OwnBody
from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.jobs_shapes import Cancelled, Created
from chalicelib.api.shapes import Shape
from chalicelib.api.tasks import IDEMPOTENT, idempotency_key
from chalicelib.domain.callers import Permission
from chalicelib.domain.reruns import StartFrom, start_of
from chalicelib.domain.workflow import Priority
from chalicelib.engine import advance, pausing, reruns
from chalicelib.engine.reruns import RerunRequest

bp = Blueprint(__name__)


class CancelBody(Body):
    """`kill`: the steps that run get no grace."""

    kill: bool = False


class Paused(Shape):
    """Whether it is paused now."""

    status: str = "ok"
    paused: bool


class RevisionWord(StrEnum):
    """Which revision a job is run again on: its own, or the workspace's newest."""

    SAME = "same"
    NEWEST = "newest"


class RerunBody(OwnBody):
    """What runs again: all, what failed, or a step with all behind it.

    `input` has the inputs to change; masked values stand for those of the job. `from` is `start`,
    `failed`, or a step's name; `step:` before it tells a step with such a name from the word.
    """

    input: dict[str, Any] = Field(default_factory=dict)
    start: str = Field(default=StartFrom.START.value, alias="from", min_length=1)
    revision: RevisionWord = RevisionWord.SAME
    priority: Priority | None = None


@bp.route("/jobs/{job_id}/cancel", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Cancel a job that has not ended, or kill one that is being cancelled",
        answer=Cancelled,
        body=CancelBody,
        errors=(404, 409),
        needs=Permission.EXECUTION_STOP,
    ),
)
def cancel_job(call: Call, job_id: str) -> Cancelled:
    kill = call.body(CancelBody).kill
    reason = f"{'Killed' if kill else 'Cancelled'} by request"
    job_id = call.require_job(job_id)
    advance.cancel(call.engine, job_id, reason=reason, killed=kill)
    return Cancelled()


@bp.route("/jobs/{job_id}/pause", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Let nothing new begin in a job and its sub-jobs; what runs goes on",
        answer=Paused,
        errors=(404, 409),
        needs=Permission.EXECUTION_STOP,
    ),
)
def pause_job(call: Call, job_id: str) -> Paused:
    pausing.pause(call.engine, call.require_job(job_id))
    return Paused(paused=True)


@bp.route("/jobs/{job_id}/resume", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Let a paused job and its sub-jobs go on",
        answer=Paused,
        errors=(404, 409),
        needs=Permission.EXECUTION_STOP,
    ),
)
def resume_job(call: Call, job_id: str) -> Paused:
    pausing.resume(call.engine, call.require_job(job_id))
    return Paused(paused=False)


@bp.route("/jobs/{job_id}/rerun", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Create a job that runs an ended one again, whole or from where it failed",
        answer=Created,
        body=RerunBody,
        headers=IDEMPOTENT,
        errors=(404, 409, 413, 422),
        needs=Permission.JOB_EXECUTE,
    ),
)
def rerun_job(call: Call, job_id: str) -> Created:
    body = call.body(RerunBody)
    request = RerunRequest(
        job_id=call.require_job(job_id),
        edits=body.input,
        start=start_of(body.start),
        newest=body.revision is RevisionWord.NEWEST,
        priority=body.priority,
        idempotency_key=idempotency_key(call),
    )
    return Created(job_id=reruns.rerun(call.engine, request).job_id)
