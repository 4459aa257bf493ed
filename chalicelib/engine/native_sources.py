"""Jobs of what a queue or a bucket of the account tells: no worker reads anything for it.

One rule: a message, or one version of an object, makes one job of a trigger, however often it is
told; and a message that started nothing is never counted as done.
Source: workflow language, section 1.10; decision 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Trigger, TriggerType
from chalicelib.engine.advance import start
from chalicelib.engine.emitting import input_of, task_of
from chalicelib.engine.engine import Engine
from chalicelib.engine.event_sources import is_on
from chalicelib.engine.firing import Armed, arm
from chalicelib.engine.foreign import bind_runnable
from chalicelib.engine.making import NewJob, derived_id, make


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told: by which queue or bucket, and what is unique there about it.

    `key` and `event` are an object's, such as `in/a.csv` and `ObjectCreated:Put`.
    """

    type: TriggerType
    place: str
    unique: str
    input: JsonObject
    key: str = ""
    event: str = ""


def start_told(engine: Engine, told: Told) -> list[Job]:
    """Start the jobs of all triggers that listen to it; a repeat starts no others.

    Raises:
        NotFoundError: no trigger that is on listens to it.
        InvalidError: it does not fit the task of one of them; those before it have their jobs.
    """
    found = list(_listening(engine, told))
    if not found:
        raise NotFoundError(f"no trigger listens to the {told.type} {told.place[:200]!r}")
    return [_start(engine, armed, told) for armed in found]


def _listening(engine: Engine, told: Told) -> Iterator[Armed]:
    for workspace in engine.registry.workspaces():
        if workspace.revision is None:
            continue
        triggers = engine.definitions.load(workspace.name, workspace.revision).triggers
        for trigger in triggers.values():
            if _is_meant(trigger, told):
                armed = arm(engine, workspace.name, trigger.key)
                if is_on(engine, armed):
                    yield armed


def _is_meant(trigger: Trigger, told: Told) -> bool:
    if trigger.type is not told.type or trigger.place != told.place:
        return False
    if trigger.type is TriggerType.SQS:
        return True
    is_event = any(fnmatchcase(told.event, pattern) for pattern in trigger.events)
    return is_event and told.key.startswith(trigger.prefix) and told.key.endswith(trigger.suffix)


def _start(engine: Engine, armed: Armed, told: Told) -> Job:
    task = task_of(armed, armed.trigger.task)
    bound = bind_runnable(engine, armed.workspace, armed.definition, task)
    new = NewJob(
        job_id=derived_id(armed.workspace, told.type, armed.trigger.key, told.unique),
        workspace=armed.workspace,
        revision=armed.revision,
        definition=bound.definition,
        task=task,
        input=input_of(engine, armed, task, told.input),
        source_type=SourceType.EVENT_SOURCE,
        source_id=armed.key,
        pins=bound.pins,
    )
    job, is_new = make(engine, new)
    if is_new:
        # The job stands; what is not sent now, the sweep sees to.
        with suppress(ConflictError, UnavailableError):
            start(engine, job)
    return job
