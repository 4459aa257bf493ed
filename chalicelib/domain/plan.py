"""Where every step of a job stands, and what is to be done about it.

Both questions are answered by pure functions of the flow, the job and the records of its steps:
`derive` says what is, `decide` what to do. Nothing that they can answer is ever stored.
Source: state machines, sections 3.3 to 3.5; protocol, "One pure function".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil

from chalicelib.domain.graph import order
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import instance_of
from chalicelib.domain.workflow import Action, ActionType, FlowStep, Task

MAX_QUEUE_DELAY_S = 900

_SATISFIED = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})
_BROKEN = frozenset({StepStatus.FAILED, StepStatus.CANCELLED})
_AT_WORK = frozenset({StepStatus.RUNNING, StepStatus.SUSPENDED})
# No worker runs these: a sub-job's steps are its own, an approval waits for people.
_BY_ENGINE = frozenset({ActionType.TASK, ActionType.APPROVAL})


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the step's attempt to the queue of its pool, `delay_s` (0 to 900) from now."""

    step: str
    attempt: int
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """Do with the step what no worker does.

    Evaluate its `when`, expand its loop, start its sub-job, or suspend it until it is answered.
    """

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TurnLoop:
    """Begin those instances of the loop that may be, or end it."""

    step: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Let the job have its slots, or see that it waits for them."""


@dataclass(frozen=True, slots=True)
class Seed:
    """Write the records that the re-run takes over."""


@dataclass(frozen=True, slots=True)
class Finish:
    """End the job with this status."""

    status: JobStatus


Command = Dispatch | Begin | TurnLoop | Admit | Seed | Finish


@dataclass(frozen=True, slots=True)
class Flow:
    """A task's steps in an order where each stands behind what it depends on.

    `by_engine` are those whose action no worker runs. `heirs` has, by step, the first one that a
    worker may run as soon as that step has completed: it depends on nothing else. A step with an
    heir that is in `single` has no other dependent: nothing else follows from its end. Build with
    `flow_of`.
    """

    steps: Mapping[str, FlowStep]
    order: tuple[str, ...]
    by_engine: frozenset[str] = frozenset()
    heirs: Mapping[str, str] = field(default_factory=dict)
    single: frozenset[str] = frozenset()

    @property
    def sinks(self) -> tuple[str, ...]:
        """Return the steps that nobody depends on, in flow order: their outputs are the job's."""
        needed = {need for step in self.steps.values() for need in step.depends_on}
        return tuple(key for key in self.order if key not in needed)

    def is_decided_late(self, key: str) -> bool:
        """Say whether templates decide, when its turn comes, if and how often the step runs."""
        step = self.steps[key]
        return step.when is not None or step.for_each is not None


def flow_of(task: Task, actions: Mapping[str, Action]) -> Flow:
    """Return the task's flow, ordered once for all later looks."""
    by_engine = frozenset(
        key
        for key, step in task.flow.items()
        if step.action in actions and actions[step.action].type in _BY_ENGINE
    )
    flow = Flow(task.flow, tuple(order(task.flow)), by_engine)
    heirs: dict[str, str] = {}
    for key in flow.order:
        needs = task.flow[key].depends_on
        if len(needs) == 1 and key not in by_engine and not flow.is_decided_late(key):
            heirs.setdefault(needs[0], key)
    dependents = Counter(need for step in task.flow.values() for need in step.depends_on)
    return replace(flow, heirs=heirs, single=frozenset(k for k in heirs if dependents[k] == 1))


def derive(flow: Flow, state: JobState) -> dict[str, StepStatus]:
    """Return the status of every step, in flow order.

    A skipped job never began a step. In a cancelled one, what had not begun is cancelled with it:
    as soon as every step that might still go on is halted, so that what is shown as ended never
    changes again.
    """
    live = _derive_live(flow, state.steps)
    statuses = live.statuses
    if state.job.status is JobStatus.SKIPPED:
        return dict.fromkeys(statuses, StepStatus.SKIPPED)
    if state.job.status is JobStatus.CANCELLED and not _unhalted(live, state.steps):
        for key, status in statuses.items():
            if status is StepStatus.PENDING:
                statuses[key] = StepStatus.CANCELLED
    return statuses


def unhalted(flow: Flow, state: JobState) -> tuple[str, ...]:
    """Return the steps of a cancelled job that might still begin, or end with consequences.

    Every message that is still under way speaks of one of these, or of an instance of one: a step
    is sent when it is ready, and a ready step stays so until it is claimed.
    """
    return _unhalted(_derive_live(flow, state.steps), state.steps)


def decide(
    flow: Flow, state: JobState, now: datetime, sent: Collection[str] = ()
) -> tuple[Command, ...]:
    """Return what is to be done, in flow order; or the one thing that comes before all else.

    Steps in `sent` (see `ready_before`) are not dispatched: that was done when they became ready.
    Anything may repeat what another caller does at the same moment; claims and conditional writes
    make that harmless.
    """
    job = state.job
    if job.status.is_terminal:
        return ()
    if job.seed is not None and not job.is_seeded:
        return (Seed(),)
    if job.slots and not job.admitted:
        return (Admit(),)
    live = _derive_live(flow, state.steps)
    end = outcome(flow, live.statuses)
    if end is not None:
        return (Finish(end),)
    turns = [TurnLoop(key) for key, record in state.steps.items() if _is_loop_at_work(record)]
    if job.paused:
        return tuple(turns)
    return (*turns, *_begins(flow, live, state, now), *_dispatches(flow, live, state, now, sent))


def ready_before(flow: Flow, state: JobState, since: str | None) -> frozenset[str]:
    """Return the steps that were ready before the end of the step or instance `since`.

    With None, the job is looked at as a whole: nothing counts as sent.
    """
    if since is None:
        return frozenset()
    records = state.steps
    if instance_of(since) is None:
        record = records.get(since)
        if record is None:
            return frozenset()
        records = {**records, since: replace(record, status=StepStatus.RUNNING)}
    statuses = _derive_live(flow, records).statuses
    return frozenset(key for key, status in statuses.items() if status is StepStatus.READY)


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


@dataclass(frozen=True, slots=True)
class _Live:
    """Every step's status, and the steps whose turn has come and of which nothing is kept yet."""

    statuses: dict[str, StepStatus]
    due: frozenset[str]


def _derive_live(flow: Flow, records: Mapping[str, StepRecord]) -> _Live:
    """Apply the rules to what is kept; nothing follows from the end of a halted step."""
    statuses: dict[str, StepStatus] = {}
    seen: dict[str, StepStatus] = {}
    due: set[str] = set()
    for key in flow.order:
        record = records.get(key)
        status = record.status if record else _promoted(flow.steps[key], seen)
        if record is None and status is StepStatus.READY:
            due.add(key)
            if flow.is_decided_late(key):
                status = StepStatus.PENDING
        statuses[key] = status
        seen[key] = StepStatus.RUNNING if record and record.halted else status
    return _Live(statuses, frozenset(due))


def _unhalted(live: _Live, records: Mapping[str, StepRecord]) -> tuple[str, ...]:
    return tuple(
        key
        for key, status in live.statuses.items()
        if key in live.due
        or status is StepStatus.READY
        or (status in _AT_WORK and not records[key].halted)
    )


def _is_loop_at_work(record: StepRecord) -> bool:
    return record.loop is not None and record.status is StepStatus.RUNNING


def _begins(flow: Flow, live: _Live, state: JobState, now: datetime) -> Iterable[Begin]:
    """Yield what the engine is to begin now; for what waits for its time, the sweep comes."""
    if state.job.start_at is not None and state.job.start_at > now:
        return
    for key in flow.order:
        record = state.steps.get(key)
        if record is None:
            if key in live.due and (key in flow.by_engine or flow.is_decided_late(key)):
                yield Begin(key, attempt=1)
        elif record.status is StepStatus.READY and key in flow.by_engine:
            is_time = record.retry_at is None or record.retry_at <= now
            yield from (Begin(key, record.attempt),) if is_time else ()


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


def _dispatches(
    flow: Flow, live: _Live, state: JobState, now: datetime, sent: Collection[str]
) -> Iterable[Dispatch]:
    for key, status in live.statuses.items():
        if status is not StepStatus.READY or key in sent or key in flow.by_engine:
            continue
        record = state.steps.get(key)
        retry_at = record.retry_at if record else None
        delay_s = delay_until(now, retry_at, state.job.start_at)
        # The queue cannot wait longer; the sweep comes back in time.
        if delay_s <= MAX_QUEUE_DELAY_S:
            yield Dispatch(key, record.attempt if record else 1, delay_s)


def delay_until(now: datetime, *instants: datetime | None) -> int:
    """Return the whole seconds until the last of the instants, 0 when none is still to come."""
    waits = [ceil((instant - now).total_seconds()) for instant in instants if instant is not None]
    return max(0, *waits) if waits else 0
