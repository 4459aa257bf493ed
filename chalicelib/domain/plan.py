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
    """Return the status of every step, in flow order.

    In a cancelled job, what had not begun is cancelled with it: as soon as every step that might
    still go on is halted, so that what is shown as ended never changes again.
    """
    statuses = _derive_live(flow, state.steps)
    if state.job.status is JobStatus.CANCELLED and not _unhalted(statuses, state.steps):
        for key, status in statuses.items():
            if status is StepStatus.PENDING:
                statuses[key] = StepStatus.CANCELLED
    return statuses


def unhalted(flow: Flow, state: JobState) -> tuple[str, ...]:
    """Return the steps of a cancelled job that might still begin, or end with consequences.

    Every message that is still under way speaks of one of these: a step is sent when it is ready,
    and a ready step stays so until it is claimed.
    """
    return _unhalted(_derive_live(flow, state.steps), state.steps)


def decide(
    flow: Flow, state: JobState, now: datetime, since: str | None = None
) -> tuple[Command, ...]:
    """Return what is to be done: one `Finish`, or a `Dispatch` for each ready step, in flow order.

    With `since`, the step whose end is being handled, only steps that this end made ready are
    dispatched: the others were, when they became ready. Without it, all are. Either may repeat
    what another caller does at the same moment; claims and conditional writes make that harmless.
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
    """Apply the rules to what is kept; nothing follows from the end of a halted step."""
    statuses: dict[str, StepStatus] = {}
    seen: dict[str, StepStatus] = {}
    for key in flow.order:
        record = records.get(key)
        statuses[key] = record.status if record else _promoted(flow.steps[key], seen)
        seen[key] = StepStatus.RUNNING if record and record.halted else statuses[key]
    return statuses


def _unhalted(
    statuses: Mapping[str, StepStatus], records: Mapping[str, StepRecord]
) -> tuple[str, ...]:
    return tuple(
        key
        for key, status in statuses.items()
        if status is StepStatus.READY or (status is StepStatus.RUNNING and not records[key].halted)
    )


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
