"""From a claimed attempt to what the runner runs."""

from __future__ import annotations

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.workflow import ActionType, RunnerKind
from chalicelib.engine.steps import Assignment
from chalicelib.runner.spec import StepSpec


def spec_of(assignment: Assignment) -> StepSpec:
    """Return what the runner needs to know of a claimed attempt.

    Raises:
        InvalidError: it is nothing that runs on this machine as a script.
    """
    action, rendered = assignment.action, assignment.rendered
    if action.type is not ActionType.SCRIPT or action.runner is not RunnerKind.LOCAL:
        raise InvalidError(
            f"this worker runs scripts on its own machine only; the action {action.key!r} is of "
            f"type {action.type} for the runner {action.runner}"
        )
    return StepSpec(
        job_id=assignment.hold.ref.job_id,
        workspace=assignment.workspace,
        task=assignment.task,
        step=assignment.hold.ref.step,
        attempt=assignment.hold.attempt,
        language=action.language,
        script=rendered.script,
        source=action.source,
        args=rendered.args,
        env=rendered.env,
        interpreter=action.interpreter,
        dependencies=action.dependencies,
        timeout_s=assignment.timeout_s,
        secrets=rendered.secrets,
        references=rendered.references,
    )
