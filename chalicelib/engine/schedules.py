"""Keep what is known of triggers in step with the revision in force, and with operators' words.

One rule: records are read before the revision is, and written only as they were read; so what an
older revision asks for never replaces what a newer one wrote.
Source: decision 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile

from chalicelib.domain.errors import ConflictError, StroemError
from chalicelib.domain.schedule.records import Mark, TriggerRecord
from chalicelib.domain.schedule.timing import Timing, timing_of
from chalicelib.domain.workflow import Trigger
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine.advance import cancel
from chalicelib.engine.engine import Engine
from chalicelib.engine.firing import arm, job_id_of

# How far ahead of their time jobs are made: until the next tick, and a little more.
AHEAD = timedelta(seconds=65)
# Even where nothing seems to have changed, all is compared so often.
_COMPARED = timedelta(hours=1)


def reconcile(engine: Engine, workspace: str) -> None:
    """Bring the workspace's records up to its revision in force. Safe to repeat.

    A new schedule, or one whose times changed, begins with its next time; any other goes on.

    Raises:
        StroemError: not everything could be written; the next tick tries again.
    """
    before = {record.name: record for record in engine.schedules.triggers(workspace)}
    revision = engine.registry.workspace(workspace).revision
    if revision is None:
        return
    empty = TriggerRecord(workspace=workspace, name="")
    now = engine.clock.now()
    triggers = engine.definitions.load(workspace, revision).triggers
    is_whole = True
    for name in {**triggers, **before}:
        try:
            _bring_up(engine, replace(empty, name=name), before.get(name), triggers.get(name))
        except ConflictError:
            is_whole = False
    if is_whole:
        engine.schedules.mark(workspace, Mark(revision, now))


def reconcile_all(engine: Engine) -> int:
    """Reconcile the workspaces that need it; return how many could not be."""
    now, marks = engine.clock.now(), engine.schedules.marks()
    failed = 0
    for record in engine.registry.workspaces():
        if _is_behind(record, marks.get(record.name), now):
            try:
                reconcile(engine, record.name)
            except StroemError:
                failed += 1
    return failed


def switch(
    engine: Engine,
    workspace: str,
    name: str,
    *,
    paused: bool | None = None,
    enabled: bool | None = None,
) -> TriggerRecord:
    """Pause a trigger or let it go on; enable or disable it, whatever its definition says.

    Safe to repeat. What was made ahead for a trigger that stops is cancelled before it begins.

    Raises:
        NotFoundError: there is no such workspace or trigger.
        ConflictError: it was changed at the same time.
    """
    trigger = arm(engine, workspace, name).trigger
    before = engine.schedules.trigger(workspace, name)
    record = before or TriggerRecord(workspace=workspace, name=name)
    record = replace(
        record,
        paused=record.paused if paused is None else paused,
        enabled=record.enabled if enabled is None else enabled,
    )
    record = brought_up(record, trigger, engine.clock.now())
    engine.schedules.put(record, before)
    if record.next_at is None and record.timing is not None:
        call_back(engine, record, record.timing)
    return record


def brought_up(record: TriggerRecord, trigger: Trigger, now: datetime) -> TriggerRecord:
    """Return the record as the definition and the operators' words make it."""
    timing = timing_of(trigger)
    if timing is None or not record.is_live(trigger):
        return replace(record, timing=timing, next_at=None)
    next_at = record.next_at
    if next_at is None or not _is_same(record.timing, timing):
        next_at = timing.first_after(now)
    elif timing.end_at is not None and next_at > timing.end_at:
        next_at = None
    return replace(record, timing=timing, next_at=next_at)


def call_back(engine: Engine, record: TriggerRecord, timing: Timing) -> None:
    """Cancel the jobs that were made ahead of their time and have not begun."""
    now = engine.clock.now()
    soon = takewhile(
        lambda run: run <= now + AHEAD, timing.runs(now - timedelta(seconds=timing.jitter_s))
    )
    for nominal in soon:
        with suppress(StroemError):
            job = engine.jobs.get(job_id_of(record.workspace, record.name, nominal))
            if job.start_at is not None and job.start_at > now:
                cancel(engine, job.job_id, reason=f"Trigger {record.key} was stopped")


def call_back_task(engine: Engine, workspace: str, task: str) -> None:
    """Cancel what was made ahead for any schedule of the task."""
    for name, trigger in _triggers(engine, workspace).items():
        timing = timing_of(trigger)
        if trigger.task == task and timing is not None:
            call_back(engine, TriggerRecord(workspace=workspace, name=name), timing)


def _bring_up(
    engine: Engine, empty: TriggerRecord, before: TriggerRecord | None, trigger: Trigger | None
) -> None:
    if trigger is not None:
        record = brought_up(before or empty, trigger, engine.clock.now())
        if record != before:
            engine.schedules.put(record, before)
            if before is not None and before.next_at and not record.next_at and before.timing:
                call_back(engine, record, before.timing)
    elif before is not None:
        _let_go(engine, before)


def _let_go(engine: Engine, before: TriggerRecord) -> None:
    """Forget a trigger that is gone, but not what an operator said of it: it may come back."""
    if before.is_said:
        engine.schedules.put(replace(before, next_at=None), before)
    else:
        engine.schedules.delete(before)
    if before.next_at is not None and before.timing is not None:
        call_back(engine, before, before.timing)


def _is_behind(record: WorkspaceRecord, mark: Mark | None, now: datetime) -> bool:
    if record.revision is None:
        return False
    return mark is None or mark.revision != record.revision or now - mark.at >= _COMPARED


def _is_same(known: Timing | None, timing: Timing) -> bool:
    """Say whether both have the same times, but for where they end and how late runs begin."""
    return known is not None and (known.cron, known.timezone) == (timing.cron, timing.timezone)


def state_of(engine: Engine, workspace: str, name: str) -> TriggerRecord:
    """Return what is kept of a trigger, or what stands for nothing."""
    found = engine.schedules.trigger(workspace, name)
    return found or TriggerRecord(workspace=workspace, name=name)


def _triggers(engine: Engine, workspace: str) -> Mapping[str, Trigger]:
    revision = engine.registry.workspace(workspace).revision
    return engine.definitions.load(workspace, revision).triggers if revision else {}
