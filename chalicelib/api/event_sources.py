"""The route by which a consumer's worker emits. Source: HTTP API, section 4.3."""

from __future__ import annotations

from typing import Annotated, Any

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.bodies import Body
from chalicelib.api.edge import Call, Operation, answered, checked_id
from chalicelib.api.shapes import Shape
from chalicelib.domain.event_sources import MAX_EVENT_BYTES
from chalicelib.domain.values import StepRef
from chalicelib.engine.emitting import Event, emit
from chalicelib.engine.steps import Hold

bp = Blueprint(__name__)

# Beside the event, the names around it.
MAX_BODY = MAX_EVENT_BYTES + 8 * 1024
Text = Annotated[str, Field(min_length=1, max_length=300)]
Number = Annotated[int, Field(ge=1)]


class HoldBody(Body):
    """The attempt that emits, as its claim told it."""

    job_id: str
    step_name: Text
    attempt: Number
    lease: Text


class EmitBody(Body):
    """One event. With `hold` and `number`, its place in the attempt, a repeat starts no other."""

    workspace: Text
    task: Text
    source_id: Text
    input: dict[str, Any] = Field(default_factory=dict)
    hold: HoldBody | None = None
    number: Number | None = None

    def event(self) -> Event:
        """Return the event as the engine knows it."""
        return Event(
            workspace=self.workspace,
            task=self.task,
            source_id=self.source_id,
            input=self.input,
            hold=_hold(self.hold) if self.hold else None,
            number=self.number,
        )


class Emitted(Shape):
    """The job that the event started."""

    job_id: str


@bp.route("/event-source/emit", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Start the job of an event; 429 means that the consumer must wait",
        answer=Emitted,
        body=EmitBody,
        errors=(403, 404, 413, 429),
        by_worker=True,
        max_body_bytes=MAX_BODY,
    ),
)
def emit_event(call: Call) -> Emitted:
    return Emitted(job_id=emit(call.engine, call.body(EmitBody).event(), call.worker).job_id)


def _hold(given: HoldBody) -> Hold:
    return Hold(StepRef(checked_id(given.job_id), given.step_name), given.attempt, given.lease)
