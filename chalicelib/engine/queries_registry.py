"""Read use cases: what people and programs ask about tasks, triggers and workers.

One rule: nothing is written.
Source: HTTP API, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import Job, StepRecord
from chalicelib.domain.masks import masked
from chalicelib.domain.names import is_workspace_name
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import SILENT_AFTER, WorkerRecord, WorkerStatus
from chalicelib.domain.workflow import Definition, Task, Trigger
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine.engine import Engine

OVERDUE = timedelta(minutes=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task with what belongs to it in its workspace's revision in force."""

    workspace: WorkspaceRecord
    definition: Definition
    task: Task
    triggers: tuple[Trigger, ...]


def workspace_of(engine: Engine, name: str) -> WorkspaceRecord:
    """Return the workspace.

    Raises:
        NotFoundError: there is none, or the text cannot even be a name.
    """
    if not is_workspace_name(name):
        raise NotFoundError(f"there is no workspace {name[:80]!r}")
    return engine.registry.workspace(name)


def task_views(engine: Engine, workspace: str | None = None) -> Iterator[TaskView]:
    """Yield the tasks of one workspace or of all; one without a good revision has none."""
    named = [workspace_of(engine, workspace)] if workspace else engine.registry.workspaces()
    for record in named:
        definition = _definition(engine, record)
        for task in definition.tasks.values():
            yield _task_view(record, definition, task)


def task_view(engine: Engine, workspace: str, task: str) -> TaskView:
    """Return one task of the revision in force.

    Raises:
        NotFoundError: no such workspace or task.
    """
    record = workspace_of(engine, workspace)
    definition = _definition(engine, record)
    if task not in definition.tasks:
        raise NotFoundError(f"workspace {workspace!r} has no task {task[:80]!r}")
    return _task_view(record, definition, definition.tasks[task])


def triggers(engine: Engine, workspace: str) -> tuple[Trigger, ...]:
    """Return the workspace's triggers, in the document's order."""
    definition = _definition(engine, workspace_of(engine, workspace))
    return tuple(_shown(definition, trigger) for trigger in definition.triggers.values())


def _shown(definition: Definition, trigger: Trigger) -> Trigger:
    """Return the trigger with what it gives to secret inputs masked."""
    task = definition.tasks.get(trigger.target_task or trigger.task)
    fields = task.input if task else {}
    return replace(trigger, input=masked(fields, trigger.input))


def status_of(engine: Engine, worker: WorkerRecord) -> WorkerStatus:
    """Return whether the session lives by the clock: the sweep may not have noticed yet."""
    silent = engine.clock.now() - worker.last_heartbeat > SILENT_AFTER
    return WorkerStatus.INACTIVE if silent else worker.status


def steps_of(
    engine: Engine, worker: WorkerRecord, limit: int
) -> Sequence[tuple[Job, StepRef, StepRecord | None]]:
    """Return what the session said to run at its last heartbeat, up to `limit` steps."""
    found = []
    for ref in (worker.running or ())[:limit]:
        try:
            state = engine.jobs.load(ref.job_id)
        except NotFoundError:
            continue
        found.append((state.job, ref, state.steps.get(ref.step)))
    return found


def is_swept(engine: Engine) -> bool:
    """Say whether no job waits for the sweep much longer than it should."""
    return not engine.jobs.due(engine.clock.now() - OVERDUE, 1)


def _definition(engine: Engine, record: WorkspaceRecord) -> Definition:
    if record.revision is None:
        return Definition()
    return engine.definitions.load(record.name, record.revision)


def _task_view(record: WorkspaceRecord, definition: Definition, task: Task) -> TaskView:
    found = tuple(
        _shown(definition, trigger)
        for trigger in definition.triggers.values()
        if task.key in (trigger.task, trigger.target_task)
    )
    return TaskView(workspace=record, definition=definition, task=task, triggers=found)
