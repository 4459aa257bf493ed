"""How many jobs of a task, of one key of it, or of a workspace may run at a time.

A job gets its places one by one, always in the same order: that of the trigger or backfill that
made it, that of its task, then that of its workspace. It keeps what it has while it stands in line
for the next, so nobody waits in a circle.
The one rule: whoever stands in line looks again after the place is in the table, and whoever frees
one looks at the line then; so one of the two always sees the other.
Source: workflow language, section 1.5 (our `concurrency`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice

from chalicelib.domain.errors import NotFoundError, TemplateError
from chalicelib.domain.job import AfterAction, Job, JobState, Slot
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import OnLimit, Priority, Task
from chalicelib.engine.agenda import Agenda, Stop
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.moves import Line, Waiter

# What one look reads of a line, and how many it lets in: each of them looks at those behind it.
LOOKED = 100
_WOKEN = 10
_LONGEST_VALUE = 100
_TRIGGER = "trigger/"
_BACKFILL = "backfill/"
_WORKSPACE = "workspace/"
_LIMITED = {_TRIGGER: "this trigger", _BACKFILL: "this backfill", _WORKSPACE: "this workspace"}
# After so long, who is first in line asks if those who hold the places are still there.
_STANDS_STILL = timedelta(minutes=1)
_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of the wish for places. `skipped` says why the job is not to run at all."""

    is_admitted: bool = False
    skipped: str | None = None


def slots_of(
    engine: Engine, workspace: str, task: Task, given: JsonObject, source: SourceType
) -> tuple[Slot, ...]:
    """Return the places that a new job must have before it begins, in the order to get them.

    `given` is its input with secret values masked. A hook's job counts in no workspace's quota:
    what a job's end leads to must not wait for others.
    """
    found = []
    if task.concurrency is not None:
        key = task_key(workspace, task.key)
        if task.concurrency.key is not None:
            key = f"{key}/{_value(engine, task.concurrency.key, given)}"
        found.append(Slot(key, task.concurrency.limit, task.concurrency.on_limit))
    if engine.limits.workspace_jobs is not None and source is not SourceType.HOOK:
        found.append(Slot(workspace_key(workspace), engine.limits.workspace_jobs))
    return tuple(found)


def task_key(workspace: str, task: str) -> str:
    """Return the key of what limits a task's jobs; with `/` and a value, of some of them."""
    return f"task/{workspace}/{task}"


def trigger_key(workspace: str, trigger: str) -> str:
    """Return the key of what limits the jobs that one trigger made to one at a time."""
    return f"{_TRIGGER}{workspace}/{trigger}"


def backfill_key(workspace: str, backfill_id: str) -> str:
    """Return the key of what limits the jobs of one backfill."""
    return f"{_BACKFILL}{workspace}/{backfill_id}"


def of_maker(job: Job) -> tuple[Slot, ...]:
    """Return the places that a job needs for what made it, which another try of it needs too."""
    return tuple(slot for slot in job.slots if slot.key.startswith((_TRIGGER, _BACKFILL)))


def workspace_key(workspace: str) -> str:
    """Return the key of what limits a workspace's jobs."""
    return _WORKSPACE + workspace


def admit(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> Admission:  # noqa: ARG001 - as all of the kind
    """Try to get the job the places that it lacks, and note in META when it has them all."""
    job, now = state.job, engine.clock.now()
    if job.paused or (job.start_at is not None and now < job.start_at):
        return Admission()
    for slot in job.slots:
        if _has_place(engine, agenda, job, slot):
            continue
        if slot.on_limit is OnLimit.SKIP:
            return Admission(skipped=f"The limit of {_places(slot)} was reached")
        _drop_if_ended(engine, agenda, job)
        return Admission()
    engine.jobs.admit(job.job_id, now)
    _drop_if_ended(engine, agenda, job)
    return Admission(is_admitted=True)


def release(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> bool:  # noqa: ARG001 - as all of the kind
    """Give the ended job's places back and let the next in line in; say whether it is done."""
    me = waiter_of(state.job)
    for slot in state.job.slots:
        engine.slots.leave_line(slot.key, me)
        engine.slots.give_back(slot.key, me.job_id)
        _wake(engine, agenda, slot)
    return True


def waiter_of(job: Job) -> Waiter:
    """Return what stands in a line for the job."""
    since = job.start_at or job.created_at
    return Waiter(job_id=job.job_id, priority=job.priority, since=since)


def is_ahead(waiter: Waiter, other: Waiter) -> bool:
    """Say whether the one stands before the other: by priority, then by time, then by id."""
    return _place(waiter) < _place(other)


def _place(waiter: Waiter) -> tuple[int, datetime, str]:
    return (_RANKS[waiter.priority], waiter.since, waiter.job_id)


def _value(engine: Engine, template: str, given: JsonObject) -> str:
    """Return the key's value. Jobs for which it does not render share one limit: the empty value.

    A value that is long is told by its digest: keys of tables are short.
    """
    try:
        value = engine.renderer.render(template, {"input": given}).strip()
    except TemplateError:
        return ""
    if len(value) <= _LONGEST_VALUE:
        return value
    return f"sha256:{sha256(value.encode()).hexdigest()}"


def limited(slot: Slot) -> str:
    """Return whose jobs the places are limited of, in words."""
    named = (words for start, words in _LIMITED.items() if slot.key.startswith(start))
    return next(named, "this task")


def _places(slot: Slot) -> str:
    kind = limited(slot)
    return f"{slot.limit} jobs at a time of {kind}" if slot.limit > 1 else f"one job of {kind}"


def _has_place(engine: Engine, agenda: Agenda, job: Job, slot: Slot) -> bool:
    """Say whether the job has the place now; if not, it stands in line, unless it is to skip."""
    me = waiter_of(job)
    line = engine.slots.line(slot.key, LOOKED)
    if _take(engine, agenda, slot, line, me):
        return True
    is_new = me not in line.waiters and slot.on_limit is not OnLimit.SKIP
    if is_new:
        engine.slots.wait(slot.key, me)
    if slot.on_limit is OnLimit.CANCEL_PREVIOUS:
        _cancel_previous(engine, agenda, job, slot)
    is_freed = _stands_still(engine, slot, line, me) and _free_lost(engine, slot, line)
    # What was given back before it stood in line, nobody has told it.
    again = is_new or is_freed
    return again and _take(engine, agenda, slot, engine.slots.line(slot.key, LOOKED), me)


def _take(engine: Engine, agenda: Agenda, slot: Slot, line: Line, me: Waiter) -> bool:
    """Take a place if there is one for everybody ahead too; leave the line with it."""
    if me.job_id not in line.holders:
        free = slot.limit - len(line.holders)
        ahead = [waiter for waiter in line.waiters if is_ahead(waiter, me)]
        if free <= 0 or not _is_turn(engine, agenda, slot.key, line, ahead, free):
            return False
        if not engine.slots.take(slot, me.job_id):
            return False
    if me in line.waiters:
        engine.slots.leave_line(slot.key, me)
    if any(waiter != me for waiter in line.waiters):
        _wake(engine, agenda, slot)
    return True


def _is_turn(
    engine: Engine, agenda: Agenda, key: str, line: Line, ahead: Sequence[Waiter], free: int
) -> bool:
    """Say whether one of the `free` places is left; else have those looked at who may have them.

    They may have been cut off just before they took it.
    """
    if len(ahead) < free:
        return True
    rivals = list(islice(_wanting(engine, key, line, ahead), free))
    for waiter in rivals:
        agenda.look(waiter.job_id)
    return len(rivals) < free


def _wake(engine: Engine, agenda: Agenda, slot: Slot) -> None:
    """Have those looked at for whom there are places now."""
    line = engine.slots.line(slot.key, LOOKED)
    free = min(slot.limit - len(line.holders), _WOKEN)
    for waiter in islice(_wanting(engine, slot.key, line, line.waiters), max(free, 0)):
        agenda.look(waiter.job_id)


def _wanting(engine: Engine, key: str, line: Line, waiters: Sequence[Waiter]) -> Iterator[Waiter]:
    """Yield those who would take a place now; take those out who never will.

    One that is paused keeps its place in line, and lets others pass.
    """
    for waiter in waiters:
        job = _find(engine, waiter.job_id)
        if job is None or job.status.is_terminal or job.admitted or job.job_id in line.holders:
            engine.slots.leave_line(key, waiter)
        elif not job.paused:
            yield waiter


def _cancel_previous(engine: Engine, agenda: Agenda, job: Job, slot: Slot) -> None:
    """Cancel the oldest jobs of the key, so that of all no more than the newest are left."""
    line = engine.slots.line(slot.key, LOOKED)
    ids = {*line.holders, *(waiter.job_id for waiter in line.waiters), job.job_id}
    found = [one for one in (_find(engine, job_id) for job_id in ids) if one is not None]
    live = sorted(
        (one for one in found if not one.status.is_terminal),
        key=lambda one: (_asked_at(engine, one), one.job_id),
    )
    for old in live[: max(0, len(live) - slot.limit)]:
        agenda.cancel(old.job_id, Stop(f"Replaced by job {live[-1].job_id}"))


def _asked_at(engine: Engine, job: Job) -> datetime:
    """Return when the task was asked for: another try of it is no newer than the first.

    One that was made ahead of its time is asked for at its time.
    """
    first = (_find(engine, job.retry_of) if job.retry_of else None) or job
    return (first.start_at if first.retry_of is None else None) or first.created_at


def _stands_still(engine: Engine, slot: Slot, line: Line, me: Waiter) -> bool:
    """Say whether it is this job's to ask if those who hold the places are still there."""
    if slot.on_limit is OnLimit.SKIP:
        return True
    ahead = [waiter for waiter in line.waiters if is_ahead(waiter, me)]
    is_late = engine.clock.now() - me.since > _STANDS_STILL
    return is_late and not any(_wanting(engine, slot.key, line, ahead))


def _free_lost(engine: Engine, slot: Slot, line: Line) -> bool:
    """Take the places from those who are gone; say whether there were any.

    One that ended while it was given its place may have had it written after all was given back.
    """
    is_freed = False
    for job_id in line.holders:
        job = _find(engine, job_id)
        if job is None or (job.status.is_terminal and AfterAction.RELEASE not in job.after):
            engine.slots.give_back(slot.key, job_id)
            is_freed = True
    return is_freed


def _drop_if_ended(engine: Engine, agenda: Agenda, job: Job) -> None:
    """Give everything back where the job ended meanwhile: its release may have come too early."""
    stands = _find(engine, job.job_id)
    if stands is None or stands.status.is_terminal:
        me = waiter_of(job)
        for slot in job.slots:
            engine.slots.leave_line(slot.key, me)
            engine.slots.give_back(slot.key, job.job_id)
            _wake(engine, agenda, slot)


def _find(engine: Engine, job_id: str) -> Job | None:
    try:
        return engine.jobs.get(job_id)
    except NotFoundError:
        return None
