"""Steps of a job, and instances of its loops, as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chalicelib.api.forms import InputShape, input_of
from chalicelib.api.shapes import MaybeText, Shape, Stamp, absent
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.workflow import ActionType
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Plan
from chalicelib.engine.queries_jobs import StepView


class PastAttempt(Shape):
    """An attempt that failed and was followed by another."""

    attempt: int
    error: str
    started_at: Stamp | None
    failed_at: Stamp
    child_job_id: MaybeText


class LoopRow(Shape):
    """How far a loop is.

    `done` have ended, `failed` of them failed; `running` were begun or sent to workers and have
    not ended.
    """

    total: int
    done: int
    failed: int
    running: int


class StepRow(Shape):
    """A step of a job, or an instance of a loop. `input` is what the flow says, until it begins.

    `loop_source`, `loop_index` and `loop_total` tell an instance; its loop has `loop` instead.
    `output_omitted`: it is large, and the route of the loop's instances has it.
    `approval_fields` is the form of an approval. An action of another workspace has
    `action_workspace` and `action_revision`, whose files, secrets and connections it runs with.
    """

    step_name: str
    action_name: str
    action_type: str
    action_image: str | None
    runner: str | None
    input: Any
    output: Any
    output_omitted: Annotated[bool | None, Field(default=None, exclude_if=absent)]
    status: StepStatus
    worker_id: str | None
    started_at: Stamp | None
    completed_at: Stamp | None
    suspended_at: Stamp | None
    error_message: str | None
    when_condition: str | None
    for_each_expr: Any
    loop_source: str | None
    loop_index: int | None
    loop_total: int | None
    loop: Annotated[LoopRow | None, Field(default=None, exclude_if=absent)]
    depends_on: list[str]
    retry_attempt: int
    max_retries: int | None
    retry_history: list[PastAttempt]
    retry_at: Stamp | None
    child_job_id: MaybeText
    waits_for: MaybeText
    approval_message: MaybeText
    action_workspace: MaybeText
    action_revision: MaybeText
    approval_fields: Annotated[
        dict[str, InputShape] | None, Field(default=None, exclude_if=absent)
    ]


def step_of(plan: Plan, shown: StepView, rights: Rights) -> StepRow:
    """Return one step, or one instance of a loop; hidden sub-jobs are left out."""
    step = shown.step
    action = plan.definition.action_of(step)
    owner = plan.owner_of(step)
    is_approval = action.type is ActionType.APPROVAL
    return StepRow(
        step_name=shown.name,
        action_name=step.action,
        action_type=action.type.value,
        action_image=action.image,
        runner=action.runner.value,
        input=shown.input,
        output=shown.output,
        output_omitted=shown.is_cut or None,
        status=shown.status,
        error_message=shown.error,
        when_condition=step.when,
        for_each_expr=step.for_each if shown.index is None else None,
        loop_source=None if shown.index is None else step.key,
        loop_index=shown.index,
        loop_total=shown.total,
        loop=_loop_of(shown),
        depends_on=list(step.depends_on),
        max_retries=shown.retries,
        waits_for=shown.waits_for,
        approval_message=shown.message,
        action_workspace=owner.workspace if owner else None,
        action_revision=owner.revision if owner else None,
        approval_fields=(
            {name: input_of(field) for name, field in action.input.items()}
            if is_approval
            else None
        ),
        **_recorded(shown, shown.record, rights),
    )


def _loop_of(shown: StepView) -> LoopRow | None:
    loop = shown.loop
    if loop is None:
        return None
    return LoopRow(total=loop.total, done=loop.done, failed=loop.failed, running=loop.running)


def _recorded(shown: StepView, record: StepRecord | None, rights: Rights) -> dict[str, Any]:
    if record is None:
        fields: dict[str, Any] = dict.fromkeys(
            ("worker_id", "started_at", "completed_at", "suspended_at", "retry_at")
        )
        return fields | {"retry_attempt": 0, "retry_history": []}
    return {
        "worker_id": record.session,
        "started_at": record.started_at,
        "completed_at": record.completed_at,
        "suspended_at": record.suspended_at,
        "retry_at": record.retry_at,
        "child_job_id": rights.shown(record.child),
        "retry_attempt": record.attempt - 1,
        "retry_history": [
            PastAttempt(
                attempt=past.attempt,
                error=error,
                started_at=past.started_at,
                failed_at=past.failed_at,
                child_job_id=rights.shown(past.child),
            )
            for past, error in zip(record.history, shown.past_errors, strict=True)
        ],
    }
