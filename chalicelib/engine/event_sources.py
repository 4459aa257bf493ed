"""Keep the consumers of event sources running: one job for each trigger that is on.

One rule: the `number`th consumer of a trigger has one id, so two ticks make one. A consumer is
stopped by its own id, never by what its jobs have in common.
Source: workflow language, section 1.10; decision 8.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, StroemError
from chalicelib.domain.event_sources import EventSourceRecord, starts_again
from chalicelib.domain.inputs import check_input
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.schedule.records import TriggerRecord
from chalicelib.domain.workflow import TriggerType
from chalicelib.engine.advance import cancel, start
from chalicelib.engine.engine import Engine
from chalicelib.engine.firing import Armed, arm
from chalicelib.engine.foreign import bind_runnable
from chalicelib.engine.making import NewJob, derived_id, make
from chalicelib.engine.ports_event_sources import Looked


@dataclass(slots=True)
class Tended:
    """What one pass did: consumers made and stopped, and triggers that a fault cut off."""

    made: int = 0
    stopped: int = 0
    failed: int = 0


def tend(engine: Engine) -> Tended:
    """Look at every event source; one's fault keeps no other from its turn."""
    tended = Tended()
    looked = engine.event_sources.look()
    records = [*looked.records, *_new(engine, looked, tended)]
    for record in records:
        try:
            _tend(engine, record, tended)
        except ConflictError:
            # Another tick was quicker.
            continue
        except StroemError:
            tended.failed += 1
    return tended


def _new(engine: Engine, looked: Looked, tended: Tended) -> list[EventSourceRecord]:
    """Return records for the event sources of revisions that were not looked at yet."""
    known = {(record.workspace, record.name) for record in looked.records}
    found = []
    for workspace in engine.registry.workspaces():
        revision = workspace.revision
        if revision is None or looked.revisions.get(workspace.name) == revision:
            continue
        try:
            triggers = engine.definitions.load(workspace.name, revision).triggers
            for trigger in triggers.values():
                is_source = trigger.type is TriggerType.EVENT_SOURCE
                if is_source and (workspace.name, trigger.key) not in known:
                    record = EventSourceRecord(workspace=workspace.name, name=trigger.key)
                    engine.event_sources.put(record, None)
                    found.append(record)
            engine.event_sources.mark(workspace.name, revision)
        except StroemError:
            tended.failed += 1
    return found


def _tend(engine: Engine, record: EventSourceRecord, tended: Tended) -> None:
    armed = _armed(engine, record)
    job = _job(engine, record)
    is_running = job is not None and not job.status.is_terminal
    if armed is None or not is_on(engine, armed):
        tended.stopped += is_running and _stop(engine, record, "its trigger was stopped")
        if armed is None:
            engine.event_sources.delete(record)
        elif record.is_done or record.job_id is not None:
            engine.event_sources.put(replace(record, is_done=False, job_id=None), record)
        return
    is_new_revision = record.revision != armed.revision
    if is_running and is_new_revision:
        tended.stopped += _stop(engine, record, "the workspace has a new revision")
    elif is_running or (record.is_done and not is_new_revision):
        return
    elif job is not None and not is_new_revision and not starts_again(armed.trigger, job.status):
        engine.event_sources.put(replace(record, is_done=True), record)
        return
    backoff_from = None if is_new_revision or job is None else job.completed_at
    _begin(engine, armed, record, backoff_from)
    tended.made += 1


def _begin(
    engine: Engine, armed: Armed, record: EventSourceRecord, ended_at: datetime | None
) -> None:
    """Make the next consumer, then move the record on: cut off in between, the id stays."""
    number = record.number + 1
    job_id = derived_id(record.workspace, "event-source", record.name, str(number))
    job = _make(engine, armed, job_id, ended_at)
    # Another tick may have made it of an older revision: then that one is what runs.
    moved = replace(record, number=number, job_id=job.job_id, revision=job.revision, is_done=False)
    engine.event_sources.put(moved, record)


def _make(engine: Engine, armed: Armed, job_id: str, ended_at: datetime | None) -> Job:
    definition, trigger = armed.definition, armed.trigger
    task = definition.tasks.get(trigger.task)
    if task is None:
        raise InvalidError(f"trigger {armed.key} names a task that is not there")
    bound = bind_runnable(engine, armed.workspace, definition, task)
    again_at = None if ended_at is None else ended_at + timedelta(seconds=trigger.backoff_s)
    new = NewJob(
        job_id=job_id,
        workspace=armed.workspace,
        revision=armed.revision,
        definition=bound.definition,
        task=task,
        input=check_input(task.input, {}, definition),
        source_type=SourceType.TRIGGER,
        source_id=armed.key,
        pins=bound.pins,
        start_at=again_at if again_at and again_at > engine.clock.now() else None,
    )
    job, is_new = make(engine, new)
    if is_new:
        # The job stands; what is not sent now, the sweep sees to.
        with suppress(StroemError):
            start(engine, job)
    return job


def is_on(engine: Engine, armed: Armed) -> bool:
    """Say whether the trigger is enabled, and neither it nor one of its tasks is paused."""
    name = armed.trigger.key
    said = engine.schedules.trigger(armed.workspace, name)
    said = said or TriggerRecord(workspace=armed.workspace, name=name)
    tasks = {armed.trigger.task, armed.trigger.target_task}
    is_paused = bool(tasks & engine.registry.paused_tasks(armed.workspace))
    return said.is_live(armed.trigger) and not is_paused


def _armed(engine: Engine, record: EventSourceRecord) -> Armed | None:
    try:
        armed = arm(engine, record.workspace, record.name)
    except NotFoundError:
        return None
    return armed if armed.trigger.type is TriggerType.EVENT_SOURCE else None


def _job(engine: Engine, record: EventSourceRecord) -> Job | None:
    try:
        return engine.jobs.get(record.job_id) if record.job_id else None
    except NotFoundError:
        return None


def _stop(engine: Engine, record: EventSourceRecord, why: str) -> bool:
    """Cancel the consumer, and nothing else; say whether it ran."""
    try:
        cancel(engine, record.job_id or "", reason=f"Event source {record.key}: {why}")
    except ConflictError:
        return False
    return True
