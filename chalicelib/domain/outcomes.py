"""What an ended job has to say: its output, and why it failed.

The one rule: both follow from the records of its steps; nothing of them is stored with the job.
Source: state machines, section 3.5; workflow language, section 1.9.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.job import JobState
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.plan import Flow, derive
from chalicelib.domain.values import JsonObject, JsonValue


def output_of(flow: Flow, status: JobStatus, outputs: Mapping[str, JsonValue]) -> JsonValue:
    """Return the outputs of the steps that nobody depends on; None where none has any."""
    if status is not JobStatus.COMPLETED:
        return None
    found: JsonObject = {key: outputs[key] for key in flow.sinks if outputs.get(key) is not None}
    return found or None


def failed_steps(flow: Flow, state: JobState) -> tuple[str, ...]:
    """Return the steps that failed, in flow order, tolerated failures too."""
    statuses = derive(flow, state)
    return tuple(key for key, status in statuses.items() if status is StepStatus.FAILED)


def error_message(flow: Flow, state: JobState) -> str | None:
    """Return why the job did not complete: its own reason, or the errors of its failed steps.

    A failure that `continue_on_failure` tolerates is no reason. None for a completed job.
    """
    job = state.job
    if job.status is JobStatus.COMPLETED:
        return None
    if job.reason is not None:
        return job.reason
    told = [
        f"Step '{key}': {_error(state, key)}"
        for key in failed_steps(flow, state)
        if not flow.steps[key].continue_on_failure
    ]
    return "; ".join(told) or None


def _error(state: JobState, key: str) -> str:
    record = state.steps.get(key)
    return (record.error if record else None) or "failed"
