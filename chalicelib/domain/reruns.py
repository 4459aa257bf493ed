"""What a re-run takes over from the job before it, and what runs again.

The one rule: a result is taken over only if nothing that it rests on runs again; so whatever is
taken over, the flow goes on as if it had just ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.errors import ConflictError, InvalidError, Violation
from chalicelib.domain.graph import Ancestry
from chalicelib.domain.job import Job, JobState, LoopGroup, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import group_of, new_group
from chalicelib.domain.plan import Flow, derive
from chalicelib.domain.workflow import Action, Definition, FlowStep, Task

_DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})
_STEP = "step:"


class StartFrom(StrEnum):
    """Where a re-run begins, if not at a step of the flow."""

    START = "start"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FromStep:
    """A re-run begins at this step, and with what never completed."""

    step: str


Start = StartFrom | FromStep


@dataclass(frozen=True, slots=True)
class Takeover:
    """What is taken over of the job `source`.

    Of the steps in `keep` the result; those in `resume` go on where they stood: a loop with the
    instances that have not completed, a sub-job with what has not completed in it.
    """

    source: str
    keep: frozenset[str] = frozenset()
    resume: frozenset[str] = frozenset()


def start_of(text: str) -> Start:
    """Return what `start`, `failed` or a step's name says; `step:failed` is the step `failed`."""
    if text in set(StartFrom):
        return StartFrom(text)
    return FromStep(text.removeprefix(_STEP))


def restart_of(start: Start) -> str | None:
    """Return what is kept of where a re-run began; None for the start."""
    if isinstance(start, FromStep):
        return start.step
    return None if start is StartFrom.START else start.value


def check_ended(flow: Flow, state: JobState) -> None:
    """Raise unless the job and all its steps have ended.

    Raises:
        ConflictError: they have not: what is to be taken over may still change.
    """
    job = state.job
    if not job.status.is_terminal:
        raise ConflictError(
            f"job {job.job_id} is {job.status}: it can be run again when it has ended; "
            "cancel it first, or wait"
        )
    going = [key for key, status in derive(flow, state).items() if not status.is_terminal]
    if going:
        raise ConflictError(
            f"job {job.job_id} is {job.status}, but its steps are still being stopped: "
            f"{', '.join(going)}; try again in a moment"
        )


def unchanged(old: tuple[Task, Definition], new: tuple[Task, Definition]) -> frozenset[str]:
    """Return the steps that are in both, with the same dependencies, action and `for_each`."""
    task, definition = new
    before = old[0].flow
    return frozenset(
        key
        for key, step in task.flow.items()
        if key in before and _means(step, definition) == _means(before[key], old[1])
    )


def taken_over(
    flow: Flow, same: frozenset[str], old: Flow, state: JobState, start: Start
) -> Takeover:
    """Return what a job with this flow takes over from an ended one, whose flow was `old`.

    `same` are the steps whose results count in both.

    Raises:
        InvalidError: there is no such step to start from.
    """
    source = state.job.job_id
    if start is StartFrom.START:
        return Takeover(source)
    if isinstance(start, FromStep) and start.step not in flow.steps:
        why = f"there is no step {start.step!r}; there are: {', '.join(flow.order)}"
        raise InvalidError(f"the job cannot start from there: {why}", (Violation("/from", why),))
    statuses = derive(old, state)
    again = {key for key in flow.order if key not in same or statuses[key] not in _DONE}
    whole = {start.step} if isinstance(start, FromStep) else set[str]()
    if start is StartFrom.FAILED:
        again |= {key for key in flow.order if key in same and _has_failed_instance(state, key)}
    again |= whole
    ancestry = Ancestry(flow.steps)
    behind = {key for key in flow.order if any(ancestry.waits(key, one) for one in again)}
    kept = (key for key in flow.order if key not in again | behind)
    halfway = (key for key in flow.order if key in (again & same) - behind - whole)
    return Takeover(
        source,
        keep=frozenset(key for key in kept if key in state.steps),
        resume=frozenset(key for key in halfway if _goes_on(state.steps.get(key))),
    )


def check_useful(flow: Flow, same: frozenset[str], state: JobState, takeover: Takeover) -> None:
    """Raise if nothing would run again.

    Raises:
        ConflictError: the job completed, and so did every step of it.
    """
    if state.job.status is not JobStatus.COMPLETED or takeover.resume:
        return
    # A step without a record follows from the others.
    if all(key in same and (key in takeover.keep or key not in state.steps) for key in flow.order):
        raise ConflictError(
            f"nothing failed in job {state.job.job_id}: "
            "run it again from the start, or from a step"
        )


def kept(record: StepRecord) -> StepRecord:
    """Return the record of something that has ended, as a re-run has it.

    Of a loop only its result: its instances stay with the job that ran them.
    """
    return replace(record, halted=False, tell=False, retry_at=None, loop=None)


def is_taken_over(job: Job, record: StepRecord) -> bool:
    """Say whether the record is of the job before: it ended before this one was made."""
    ended = record.completed_at
    return job.seed is not None and ended is not None and ended < job.created_at


def resumed(loop: StepRecord, lease: str, at: datetime) -> StepRecord:
    """Return the record of a loop that is to go on from `at`, none of its instances sent."""
    run = replace(loop.loop, sent=0) if loop.loop else None
    return StepRecord(
        step=loop.step,
        status=StepStatus.RUNNING,
        attempt=loop.attempt,
        nonce=lease,
        lease=lease,
        started_at=at,
        loop=run,
    )


def done_instances(found: Mapping[int, StepRecord]) -> dict[int, StepRecord]:
    """Return the instances that need not run again."""
    return {index: kept(one) for index, one in found.items() if one.status in _DONE}


def groups_without(total: int, done: Iterable[int]) -> tuple[LoopGroup, ...]:
    """Return the loop's groups that have instances in `done`, these taken out."""
    left: dict[int, set[int]] = {}
    for index in done:
        number = group_of(index)
        left.setdefault(number, set(new_group(number, total).open)).discard(index)
    return tuple(LoopGroup(number, frozenset(left[number])) for number in sorted(left))


def _means(step: FlowStep, definition: Definition) -> tuple[frozenset[str], Action, object]:
    return frozenset(step.depends_on), definition.action_of(step), step.for_each


def _has_failed_instance(state: JobState, key: str) -> bool:
    return any(group.failed for group in state.loops.get(key, {}).values())


def _goes_on(record: StepRecord | None) -> bool:
    return record is not None and (record.loop is not None or record.child is not None)
