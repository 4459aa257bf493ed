"""What a job and its steps wait for, and what becomes of a step that no live worker can take.

The one rule: how long nobody could take a step is counted from what is kept: since it is ready,
and since the last worker that fits was heard. Source: state machines, section 3.11; protocol,
"Sweep".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.job import Job, JobState, Note, Slot
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.logs import stamp, turn_at
from chalicelib.domain.loops import begun, instance_name, reach
from chalicelib.domain.plan import derive
from chalicelib.domain.pools import needs_of
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import SILENT_AFTER, WorkerRecord, WorkerStatus
from chalicelib.engine.concurrency import LOOKED, is_ahead, limited, waiter_of
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.moves import StepBegin
from chalicelib.engine.workers import reach_of

TOLD_AFTER = timedelta(seconds=30)
_NOBODY = "No active worker with required capability/tags to run this step"
_SHOWN_WORKERS = 5


def waits_for(engine: Engine, plan: Plan, state: JobState) -> Mapping[str, str]:
    """Return what each step that is ready waits for, and under "" what the whole job does.

    Each reads well behind "it waits for".
    """
    job, now = state.job, engine.clock.now()
    if job.status.is_terminal:
        return {}
    if job.paused:
        return {"": "somebody to let it go on: it is paused"}
    if job.start_at is not None and job.start_at > now:
        return {"": f"its time: it begins at {stamp(job.start_at)}"}
    if job.slots and not job.admitted:
        return {"": _place_in_line(engine, job)}
    found = {
        key: f"its time: attempt {record.attempt} begins at {stamp(record.retry_at)}"
        for key, record in state.steps.items()
        if record.status is StepStatus.READY and record.retry_at and record.retry_at > now
    }
    for one in _unserved(engine, plan, state):
        if now - one.since >= TOLD_AFTER:
            found[one.step] = f"a live worker that can take it: {one.why}"
    return found


def unclaimed(engine: Engine, plan: Plan, state: JobState) -> bool:
    """Tell of each step that no live worker can take, and fail it when that lasts too long.

    Says whether one was failed: then the job must be read again.
    """
    now = engine.clock.now()
    is_failed = False
    for one in _unserved(engine, plan, state):
        ends_at = _ends_at(engine, state, one)
        if ends_at is not None and ends_at <= now:
            is_failed = True
            _fail(engine, plan, state, one)
        elif now - one.since >= TOLD_AFTER and _note(state, one) is None:
            text = f"Step '{one.step}' waits for a live worker that can take it: {one.why}"
            engine.jobs.tell(state.job.job_id, Note(_key(one), now, text))
    return is_failed


def looks(engine: Engine, plan: Plan, state: JobState) -> list[datetime]:
    """Return when the sweep must look at steps that no live worker can take."""
    now = engine.clock.now()
    found: list[datetime] = []
    for one in _unserved(engine, plan, state):
        told_at = max(one.since + TOLD_AFTER, now)
        ends_at = _ends_at(engine, state, one, told_at)
        found += [told_at] if ends_at is None else [told_at, ends_at]
    return found


@dataclass(frozen=True, slots=True)
class _Unserved:
    """A ready step, or a loop with ready instances, that nobody can take: since when, and why."""

    step: str
    since: datetime
    why: str


def _unserved(engine: Engine, plan: Plan, state: JobState) -> Iterator[_Unserved]:
    job, now = state.job, engine.clock.now()
    if not job.may_begin or (job.start_at is not None and job.start_at > now):
        return
    workers: list[WorkerRecord] | None = None
    for step, ready_at in _ready(plan, state):
        pool = plan.pool_of(step)
        if pool in engine.limits.scaling_pools or ready_at > now:
            continue
        workers = engine.registry.workers() if workers is None else workers
        heard = [worker for worker in workers if _serves(worker, pool, job.workspace)]
        if any(_is_live(worker, now) for worker in heard):
            continue
        since = max([ready_at, *(worker.last_heartbeat for worker in heard)])
        yield _Unserved(step, since, f"it needs {needs_of(pool)}; {_listed(workers, now)}")


def _ready(plan: Plan, state: JobState) -> Iterator[tuple[str, datetime]]:
    """Yield the steps that wait for a worker, and since when; of a loop's instances, the loop."""
    for key, status in derive(plan.flow, state).items():
        record = state.steps.get(key)
        if key in plan.flow.by_engine:
            continue
        if status is StepStatus.READY:
            instants = [turn_at(plan.flow, state, key), state.job.start_at]
            instants += [record.ready_at, record.retry_at] if record else []
            yield key, max(instant for instant in instants if instant is not None)
        elif record is not None and record.loop is not None and not status.is_terminal:
            yield key, record.started_at or state.job.created_at


def _serves(worker: WorkerRecord, pool: str, workspace: str) -> bool:
    return pool in reach_of(worker) and worker.scope.has_workspace(workspace)


def _is_live(worker: WorkerRecord, now: datetime) -> bool:
    return worker.status is WorkerStatus.ACTIVE and now - worker.last_heartbeat <= SILENT_AFTER


def _listed(workers: Sequence[WorkerRecord], now: datetime) -> str:
    live = [worker for worker in workers if _is_live(worker, now)]
    if not live:
        return "no worker is live"
    shown = ", ".join(map(_described, live[:_SHOWN_WORKERS]))
    more = f" and {len(live) - _SHOWN_WORKERS} more" if len(live) > _SHOWN_WORKERS else ""
    return f"live workers: {shown}{more}"


def _described(worker: WorkerRecord) -> str:
    able = "+".join((*worker.capabilities, *worker.tags))
    return f"{worker.name} ({able}{', exclusive' if worker.exclusive else ''})"


def _key(one: _Unserved) -> str:
    return f"unclaimed/{one.step}"


def _note(state: JobState, one: _Unserved) -> Note | None:
    return next((note for note in state.notes if note.key == _key(one)), None)


def _ends_at(
    engine: Engine, state: JobState, one: _Unserved, told_at: datetime | None = None
) -> datetime | None:
    """Return when the step fails: not before it was told of, since then it was ready for sure."""
    note = _note(state, one)
    told_at = note.at if note else told_at
    if engine.limits.unclaimed_s is None or told_at is None:
        return None
    patience = timedelta(seconds=engine.limits.unclaimed_s)
    return max(one.since, told_at - TOLD_AFTER) + patience


def _fail(engine: Engine, plan: Plan, state: JobState, one: _Unserved) -> None:
    record = state.steps.get(one.step)
    if record is None or record.loop is None:
        attempt = record.attempt if record else 1
        _end(engine, StepRef(state.job.job_id, one.step), attempt, one)
        return
    step, groups = plan.flow.steps[one.step], state.loops.get(one.step, {})
    open_ones = begun(groups, reach(step, record.loop.total, groups))
    if not open_ones:
        return
    records = engine.jobs.load_instances(state.job.job_id, one.step, open_ones[0], open_ones[-1])
    for index in open_ones:
        instance = records.get(index)
        if instance is not None and instance.status is not StepStatus.READY:
            continue
        ref = StepRef(state.job.job_id, instance_name(one.step, index))
        if _end(engine, ref, instance.attempt if instance else 1, one):
            engine.jobs.leave_group(ref, failed=True)


def _end(engine: Engine, ref: StepRef, attempt: int, one: _Unserved) -> bool:
    """Fail a step that nobody has claimed; say whether it was done."""
    failed = StepBegin(
        ref=ref,
        attempt=attempt,
        nonce=engine.ids.nonce(),
        status=StepStatus.FAILED,
        at=engine.clock.now(),
        error=f"{_NOBODY}: {one.why}",
    )
    with suppress(ConflictError):
        engine.jobs.begin_step(failed)
        return True
    # Somebody claimed it after all.
    return False


def _place_in_line(engine: Engine, job: Job) -> str:
    for slot in job.slots:
        line = engine.slots.line(slot.key, LOOKED)
        if job.job_id in line.holders:
            continue
        ahead = sum(is_ahead(waiter, waiter_of(job)) for waiter in line.waiters)
        behind_many = "more than " if ahead >= LOOKED else ""
        place = f"{behind_many}{ahead} before it" if ahead else "it is first in line"
        return f"a place {_under(slot)}: {len(line.holders)} of {slot.limit} taken, {place}"
    return "its places under limits, which it is about to have"


def _under(slot: Slot) -> str:
    kind = limited(slot)
    return f"under the {'quota' if kind == 'this workspace' else 'limit'} of {kind}"
