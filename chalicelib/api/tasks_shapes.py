"""Tasks and triggers as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, RootModel

from chalicelib.api.forms import InputShape, input_of
from chalicelib.api.jobs_shapes import Layout
from chalicelib.api.shapes import MaybeJson, MaybeNumber, MaybeText, Shape, Stamp, absent
from chalicelib.domain.graph import layers
from chalicelib.domain.masks import masked
from chalicelib.domain.workflow import (
    Definition,
    FlowStep,
    InputField,
    Retry,
    Trigger,
    TriggerType,
)
from chalicelib.engine.engine import Engine
from chalicelib.engine.foreign import hindrances
from chalicelib.engine.queries_registry import TaskView
from chalicelib.engine.queries_triggers import NEXT_RUNS, TriggerStates


class TaskRow(Shape):
    """A task in a list; `id` is its key."""

    id: str
    name: MaybeText
    description: MaybeText
    mode: str
    workspace: str
    folder: MaybeText
    has_triggers: bool
    can_execute: bool = True


class TaskList(RootModel[list[TaskRow]]):
    """Tasks, by workspace."""


class RetryShape(Shape):
    """When a step is tried again; `max_attempts` counts the first attempt too."""

    max_attempts: int
    delay_s: int
    backoff: str
    jitter: bool


class StepShape(Shape):
    """One step of a flow. `timeout` is in seconds."""

    action: str
    action_type: MaybeText
    name: MaybeText
    description: MaybeText
    depends_on: list[str]
    input: dict[str, Any]
    continue_on_failure: bool
    timeout: MaybeNumber
    when: MaybeText
    for_each: MaybeJson
    sequential: bool
    retry: Annotated[RetryShape | None, Field(default=None, exclude_if=absent)]


class TriggerShape(Shape):
    """One trigger, with its next runs in UTC where it is a schedule that fires.

    `enabled` and `paused` tell how it stands here, whatever the file says; `paused` also when all
    triggers of its task are. `error` says why the run of `error_at` could not be made. Durations
    are in seconds.
    """

    name: str
    type: TriggerType
    cron: MaybeText
    timezone: MaybeText
    concurrency: MaybeText
    on_missed: MaybeText
    end_at: MaybeText
    jitter: MaybeNumber
    task: str
    target_task: MaybeText
    enabled: bool
    paused: bool
    input: dict[str, Any]
    next_runs: list[Stamp]
    error: MaybeText
    error_at: Annotated[Stamp | None, Field(default=None, exclude_if=absent)]


class TriggerList(RootModel[list[TriggerShape]]):
    """Triggers, in the document's order."""


class TaskPaused(Shape):
    """Whether the triggers of the task are paused now."""

    status: str = "ok"
    paused: bool


class TaskDetail(Shape):
    """A task. `unsupported` says what keeps it from running in this version.

    `paused`: its triggers do not fire.
    """

    id: str
    name: MaybeText
    description: MaybeText
    mode: str
    folder: MaybeText
    workspace: str
    revision: str | None
    input: dict[str, InputShape]
    flow: dict[str, StepShape]
    triggers: list[TriggerShape]
    connections: dict[str, list[str]]
    can_execute: bool = True
    unsupported: list[str]
    paused: bool
    layout: Layout


def task_row(view: TaskView, *, may_run: bool) -> TaskRow:
    """Return the task as a row of a list; `may_run`: who asks may run it."""
    task = view.task
    return TaskRow(
        id=task.key,
        name=task.name,
        description=task.description,
        mode=task.mode,
        workspace=view.workspace.name,
        folder=task.folder,
        has_triggers=bool(view.triggers),
        can_execute=may_run,
    )


def task_detail(engine: Engine, view: TaskView, *, may_run: bool) -> TaskDetail:
    """Return everything about a task; `may_run`: who asks may run it."""
    task, definition = view.task, view.definition
    states = TriggerStates.of(engine, view.workspace.name)
    return TaskDetail(
        id=task.key,
        name=task.name,
        description=task.description,
        mode=task.mode,
        folder=task.folder,
        workspace=view.workspace.name,
        revision=view.workspace.revision,
        input={name: input_of(field) for name, field in task.input.items()},
        flow={key: _step(definition, step) for key, step in task.flow.items()},
        triggers=[trigger_shape(engine, trigger, states) for trigger in view.triggers],
        connections=_connections(definition, task.input),
        can_execute=may_run,
        unsupported=hindrances(engine, view.workspace.name, definition, task),
        paused=task.key in states.paused_tasks,
        layout=Layout(layers=[list(layer) for layer in layers(task.flow)]),
    )


def trigger_shape(
    engine: Engine, trigger: Trigger, states: TriggerStates, count: int = NEXT_RUNS
) -> TriggerShape:
    """Return a trigger as it stands, with its next runs."""
    record = states.record(trigger)
    is_schedule = trigger.type is TriggerType.SCHEDULER
    return TriggerShape(
        name=trigger.key,
        type=trigger.type,
        cron=trigger.cron,
        timezone=trigger.timezone if is_schedule else None,
        concurrency=trigger.concurrency if is_schedule else None,
        on_missed=trigger.on_missed if is_schedule else None,
        end_at=trigger.end_at,
        jitter=trigger.jitter_s or None,
        task=trigger.task,
        target_task=trigger.target_task,
        enabled=states.is_enabled(trigger),
        paused=states.is_paused(trigger),
        input=trigger.input,
        next_runs=states.runs(engine, trigger, count),
        error=record.error,
        error_at=record.error_at,
    )


def _step(definition: Definition, step: FlowStep) -> StepShape:
    action = definition.actions.get(step.action)
    return StepShape(
        action=step.action,
        action_type=action.type.value if action else None,
        name=step.name,
        description=step.description,
        depends_on=list(step.depends_on),
        input=masked(action.input if action else {}, step.input),
        continue_on_failure=step.continue_on_failure,
        timeout=step.timeout_s,
        when=step.when,
        for_each=step.for_each,
        sequential=step.sequential,
        retry=_retry(step.retry) if step.retry else None,
    )


def _retry(retry: Retry) -> RetryShape:
    return RetryShape(
        max_attempts=retry.max_attempts,
        delay_s=retry.delay_s,
        backoff=retry.backoff.value,
        jitter=retry.jitter,
    )


def _connections(definition: Definition, fields: dict[str, InputField]) -> dict[str, list[str]]:
    """Return the names to choose from for each connection type that the inputs ask for."""
    wanted = {f.type for f in fields.values() if f.type in definition.connection_types}
    return {
        kind: [key for key, found in definition.connections.items() if found.type == kind]
        for kind in sorted(wanted)
    }
