"""Where every step of a job stands, and what is to be done about it.

Both questions are answered by pure functions of the flow, the job and the records of its steps:
`derive` says what is, `decide` what to do. Nothing that they can answer is ever stored.
Source: state machines, sections 3.3 to 3.5; protocol, "One pure function".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from chalicelib.domain.graph import order
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.workflow import FlowStep, Task

MAX_QUEUE_DELAY_S = 900

_SATISFIED = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})
_BROKEN = frozenset({StepStatus.FAILED, StepStatus.CANCELLED})
_UNTOUCHED = frozenset({StepStatus.PENDING, StepStatus.READY})


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the step's attempt to the queue of its pool, `delay_s` (0 to 900) from now."""

    step: str
    attempt: int
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """End the job with this status."""

    status: JobStatus


Command = Dispatch | Finish


@dataclass(frozen=True, slots=True)
class Flow:
    """A task's steps in an order where each stands behind what it depends on.

    Build with `flow_of`.
    """

    steps: Mapping[str, FlowStep]
    order: tuple[str, ...]

    @property
    def sinks(self) -> tuple[str, ...]:
        """Return the steps that nobody depends on, in flow order: their outputs are the job's."""
        needed = {need for step in self.steps.values() for need in step.depends_on}
        return tuple(key for key in self.order if key not in needed)


def flow_of(task: Task) -> Flow:
    """Return the task's flow, ordered once for all later looks."""
    return Flow(task.flow, tuple(order(task.flow)))


def derive(flow: Flow, state: JobState) -> dict[str, StepStatus]:
    """Return the status of every step, in flow order."""
    if state.job.status is JobStatus.CANCELLED:
        return _derive_cancelled(flow, state)
    return _derive_live(flow, state.steps)


def decide(
    flow: Flow, state: JobState, now: datetime, since: str | None = None
) -> tuple[Command, ...]:
    """Return what is to be done: one `Finish`, or a `Dispatch` for each ready step, in flow order.

    With `since`, the step whose end is being handled, only steps that this end made ready are
    dispatched: the others were, when they became ready. Without it, all are. Either may repeat
    what
    another caller does at the same moment; claims and conditional writes make that harmless.
    """
    if state.job.status.is_terminal:
        return ()
    statuses = derive(flow, state)
    end = outcome(flow, statuses)
    if end is not None:
        return (Finish(end),)
    ready = [key for key, status in statuses.items() if status is StepStatus.READY]
    if since is not None:
        before = _before(flow, state, since)
        ready = [key for key in ready if before[key] is not StepStatus.READY]
    return tuple(_dispatches(ready, state.steps, now))


def outcome(flow: Flow, statuses: Mapping[str, StepStatus]) -> JobStatus | None:
    """Return how the job ends, or None while a step has not ended.

    A failed step with `continue_on_failure` of its own is tolerated; cancelled steps alone do not
    fail a job. Source: state machines, section 3.5.
    """
    if not all(status.is_terminal for status in statuses.values()):
        return None
    failed = any(
        status is StepStatus.FAILED and not flow.steps[key].continue_on_failure
        for key, status in statuses.items()
    )
    return JobStatus.FAILED if failed else JobStatus.COMPLETED


def _derive_live(flow: Flow, records: Mapping[str, StepRecord]) -> dict[str, StepStatus]:
    statuses: dict[str, StepStatus] = {}
    for key in flow.order:
        record = records.get(key)
        statuses[key] = record.status if record else _promoted(flow.steps[key], statuses)
    return statuses


def _promoted(step: FlowStep, statuses: Mapping[str, StepStatus]) -> StepStatus:
    """Apply the promotion rules of section 3.3 to a step that was never touched."""
    needs = [statuses[need] for need in step.depends_on]
    accepted = _SATISFIED | _BROKEN if step.continue_on_failure else _SATISFIED
    if not all(need in accepted for need in needs):
        # A failed dependency settles it at once; else some dependency is still under way.
        unreachable = not step.continue_on_failure and any(need in _BROKEN for need in needs)
        return StepStatus.SKIPPED if unreachable else StepStatus.PENDING
    all_skipped = bool(needs) and all(need is StepStatus.SKIPPED for need in needs)
    if all_skipped and not step.continue_on_failure:
        return StepStatus.SKIPPED
    return StepStatus.READY


def _derive_cancelled(flow: Flow, state: JobState) -> dict[str, StepStatus]:
    """Show every step as the cancellation left it: what had not begun is cancelled.

    What ended after the cancellation must not turn a cancelled step into a skipped one, so the
    promotion rules see such a step as still running.
    """
    cancelled_at = state.job.completed_at
    seen = {
        key: record
        if _ended_by(record, cancelled_at)
        else replace(record, status=StepStatus.RUNNING)
        for key, record in state.steps.items()
    }
    statuses = _derive_live(flow, seen)
    for key, status in statuses.items():
        record = state.steps.get(key)
        if record is not None and record.status is not StepStatus.READY:
            statuses[key] = record.status
        elif record is not None or status in _UNTOUCHED:
            statuses[key] = StepStatus.CANCELLED
    return statuses


def _ended_by(record: StepRecord, instant: datetime | None) -> bool:
    return (
        record.status.is_terminal
        and record.completed_at is not None
        and (instant is None or record.completed_at <= instant)
    )


def _before(flow: Flow, state: JobState, since: str) -> dict[str, StepStatus]:
    """Derive as if the step `since` were still running."""
    record = state.steps.get(since)
    if record is None:
        return dict.fromkeys(flow.order, StepStatus.PENDING)
    running = replace(record, status=StepStatus.RUNNING)
    return _derive_live(flow, {**state.steps, since: running})


def _dispatches(
    ready: Iterable[str], records: Mapping[str, StepRecord], now: datetime
) -> Iterable[Dispatch]:
    for key in ready:
        record = records.get(key)
        if record is None:
            yield Dispatch(key, attempt=1)
            continue
        delay_s = 0
        if record.retry_at is not None:
            delay_s = max(0, ceil((record.retry_at - now).total_seconds()))
        # The queue cannot wait longer; the sweep comes back in time.
        if delay_s <= MAX_QUEUE_DELAY_S:
            yield Dispatch(key, record.attempt, delay_s)
