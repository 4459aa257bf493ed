"""Carry a `for_each` loop from its first instance to its end.

Instances are claimed and ended like steps; the loop's groups say which have not ended. What may
begin is `domain.loops.reach`; a mark on the loop's record makes one caller of several send it.
Source: state machines, section 3.7; protocol, items and moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, FencedError
from chalicelib.domain.job import Job, JobState, LoopGroup, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import (
    GROUP_SIZE,
    begun,
    failure,
    instance_name,
    is_over,
    missing_groups,
    reach,
)
from chalicelib.domain.plan import MAX_QUEUE_DELAY_S, delay_until
from chalicelib.domain.values import JsonValue, StepRef
from chalicelib.engine import children
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.begin import begin
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import load_payload, store_payload
from chalicelib.engine.ports import StepEnd
from chalicelib.engine.rounds import asks_each

_ENDED = "loop"
_HALT_ROUNDS = 3


def turn(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, key: str, since: str | None
) -> bool:
    """Begin the loop's instances that may be, or end it; say whether its record was ended.

    With `since`, an instance whose end is being handled, only what nobody has sent yet is sent;
    without it everything that may begin and was not claimed.
    """
    step = plan.flow.steps[key]
    while True:
        record = state.steps[key]
        run, groups = record.loop, state.loops.get(key, {})
        if run is None or record.status is not StepStatus.RUNNING:
            return False
        if since is None and _mend(engine, state, key, groups):
            state = engine.jobs.load(state.job.job_id)
            continue
        if is_over(step, run.total, groups):
            _end(engine, plan, state, record)
            return True
        if state.job.paused:
            return False
        state = _with_missing(engine, state, key, reach(step, run.total, groups))
        if not _send(engine, agenda, plan, state, key, since):
            return False
        # Instances ended while they were begun: more may begin now.
        state = engine.jobs.load(state.job.job_id)


def with_instances(engine: Engine, state: JobState) -> JobState:
    """Return the state with the records of all instances of its loops."""
    found: dict[str, Mapping[int, StepRecord]] = {}
    for key, record in state.steps.items():
        if record.loop is not None:
            last = record.loop.total - 1
            found[key] = engine.jobs.load_instances(state.job.job_id, key, 0, last)
    return replace(state, instances=found)


def at_work(engine: Engine, state: JobState) -> list[StepRecord]:
    """Return the records of the instances that have begun and not ended, of all loops."""
    return [
        record
        for key, loop in state.steps.items()
        if loop.loop is not None and not loop.status.is_terminal
        for record in _records(engine, state, key).values()
        if not record.status.is_terminal
    ]


def stop(engine: Engine, agenda: Agenda, plan: Plan, state: JobState, loop: StepRecord) -> None:
    """Halt the instances of a cancelled job's loop; end it when none runs.

    One that goes on in the meantime, time and again, is left for the next look.
    """
    job = state.job
    groups = _groups_begun(plan, state, loop)
    for _ in range(_HALT_ROUNDS):
        records = _records_in(engine, job.job_id, loop.step, groups)
        going = _unhalted(plan, loop, groups, records)
        if not going:
            break
        for index, record in going:
            with suppress(ConflictError):
                ref = StepRef(job.job_id, instance_name(loop.step, index))
                engine.jobs.halt_step(ref, record, engine.clock.now())
    else:
        return
    running = [record for record in records.values() if record.status is StepStatus.RUNNING]
    for record in running:
        if record.child is not None:
            children.stop(engine, agenda, job, record)
    if not running:
        _end(engine, plan, state, loop, status=StepStatus.CANCELLED)


def _groups_begun(plan: Plan, state: JobState, loop: StepRecord) -> Mapping[int, LoopGroup]:
    """Return the loop's groups, those too that another caller may be about to begin."""
    total, groups = _total(loop), state.loops.get(loop.step, {})
    below = reach(plan.flow.steps[loop.step], total, groups)
    missing = missing_groups(total, groups, below)
    return {**groups, **{group.number: group for group in missing}}


def _unhalted(
    plan: Plan,
    loop: StepRecord,
    groups: Mapping[int, LoopGroup],
    records: Mapping[int, StepRecord],
) -> list[tuple[int, StepRecord | None]]:
    """Return the instances that might still begin, or end with consequences.

    One that was sent and never claimed is among them: its message may come when nobody looks at
    the job any more.
    """
    below = reach(plan.flow.steps[loop.step], _total(loop), groups)
    found = ((index, records.get(index)) for index in begun(groups, below))
    return [
        (index, record)
        for index, record in found
        if record is None or not (record.halted or record.status.is_terminal)
    ]


def _total(loop: StepRecord) -> int:
    return loop.loop.total if loop.loop else 0


def _records(engine: Engine, state: JobState, key: str) -> Mapping[int, StepRecord]:
    """Return the records of the instances in groups that have open ones."""
    return _records_in(engine, state.job.job_id, key, state.loops.get(key, {}))


def _records_in(
    engine: Engine, job_id: str, key: str, groups: Mapping[int, LoopGroup]
) -> Mapping[int, StepRecord]:
    open_groups = [number for number, group in groups.items() if group.open]
    if not open_groups:
        return {}
    first, last = min(open_groups) * GROUP_SIZE, (max(open_groups) + 1) * GROUP_SIZE - 1
    return engine.jobs.load_instances(job_id, key, first, last)


def _mend(engine: Engine, state: JobState, key: str, groups: Mapping[int, LoopGroup]) -> bool:
    """Take ended instances out of their groups, where a crash kept that from being done."""
    open_ones = {index for group in groups.values() for index in group.open}
    is_mended = False
    for index, record in _records(engine, state, key).items():
        if index in open_ones and record.status.is_terminal:
            ref = StepRef(state.job.job_id, record.step)
            engine.jobs.leave_group(ref, failed=record.status is StepStatus.FAILED)
            is_mended = True
    return is_mended


def _with_missing(engine: Engine, state: JobState, key: str, below: int) -> JobState:
    """Begin the groups of the instances below `below`; return the state with them."""
    run, groups = state.steps[key].loop, dict(state.loops.get(key, {}))
    for group in missing_groups(run.total if run else 0, groups, below):
        engine.jobs.begin_group(state.job.job_id, key, group)
        groups[group.number] = group
    return replace(state, loops={**state.loops, key: groups})


def _send(
    engine: Engine,
    agenda: Agenda,
    plan: Plan,
    state: JobState,
    key: str,
    since: str | None,
) -> bool:
    """Send or begin the instances; say whether some ended by being begun."""
    step, run, groups = plan.flow.steps[key], state.steps[key].loop, state.loops[key]
    if run is None:
        return False
    below = reach(step, run.total, groups)
    before = engine.jobs.mark_sent(state.job.job_id, key, below) if run.sent < below else below
    open_ones = begun(groups, below)
    wanted: list[tuple[int, StepRecord | None]]
    if since is not None:
        wanted = [(index, None) for index in open_ones if index >= before]
    else:
        records = _records(engine, state, key)
        wanted = [(index, records.get(index)) for index in open_ones]
    if key in plan.flow.by_engine or asks_each(step):
        return _begin_all(engine, agenda, plan, state, key, wanted)
    for index, record in wanted:
        if record is None or record.status is StepStatus.READY:
            ref = StepRef(state.job.job_id, instance_name(key, index))
            send_attempt(engine, agenda, plan, state.job, ref, record)
    return False


def send_attempt(
    engine: Engine,
    agenda: Agenda,
    plan: Plan,
    job: Job,
    ref: StepRef,
    record: StepRecord | None,
) -> None:
    """Send an attempt that may be claimed; one that waits for long, the sweep comes for."""
    retry_at = record.retry_at if record else None
    delay_s = delay_until(engine.clock.now(), retry_at, job.start_at)
    if delay_s <= MAX_QUEUE_DELAY_S:
        agenda.send(plan, job, ref, record.attempt if record else 1, delay_s)


def _begin_all(
    engine: Engine,
    agenda: Agenda,
    plan: Plan,
    state: JobState,
    key: str,
    wanted: Iterable[tuple[int, StepRecord | None]],
) -> bool:
    """Begin what is the engine's to begin; say whether some of it ended at once."""
    now = engine.clock.now()
    is_ended = False
    for index, record in wanted:
        ref = StepRef(state.job.job_id, instance_name(key, index))
        if record is not None and record.status is not StepStatus.READY:
            continue
        if record is None or key in plan.flow.by_engine:
            if record is not None and record.retry_at is not None and record.retry_at > now:
                continue
            attempt = record.attempt if record else 1
            begun_as = begin(engine, agenda, plan, state, ref, attempt)
            is_ended |= begun_as is not None and begun_as.status.is_terminal
        else:
            send_attempt(engine, agenda, plan, state.job, ref, record)
    return is_ended


def _end(
    engine: Engine,
    plan: Plan,
    state: JobState,
    loop: StepRecord,
    status: StepStatus | None = None,
) -> None:
    """End the loop's own record, with the outputs of its instances in their order."""
    step = plan.flow.steps[loop.step]
    error = None if status else failure(step, state.loops.get(loop.step, {}))
    job_id = state.job.job_id
    ended = status or (StepStatus.FAILED if error else StepStatus.COMPLETED)
    output = _outputs(engine, job_id, loop) if ended is StepStatus.COMPLETED else None
    key = keys.output_blob(job_id, loop.step, loop.attempt, loop.lease or "")
    end = StepEnd(
        ref=StepRef(job_id, loop.step),
        attempt=loop.attempt,
        lease=loop.lease or "",
        # What the loop ends with follows from what never changes any more: any caller's is right.
        nonce=f"{loop.lease}/{_ENDED}",
        status=ended,
        at=engine.clock.now(),
        error=error,
        output=store_payload(engine.blobs, key, output),
        halted=status is StepStatus.CANCELLED,
    )
    with suppress(FencedError):
        engine.jobs.end_step(end)


def _outputs(engine: Engine, job_id: str, loop: StepRecord) -> list[JsonValue]:
    total = loop.loop.total if loop.loop else 0
    records = engine.jobs.load_instances(job_id, loop.step, 0, total - 1)
    return [
        load_payload(engine.blobs, record.output)
        if record is not None and record.status is StepStatus.COMPLETED
        else None
        for record in map(records.get, range(total))
    ]
