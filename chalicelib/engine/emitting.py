"""What a consumer emits: each event starts one job of the trigger's target task.

One rule: only the session that runs the consumer emits for it, and one event makes one job.
Source: workflow language, section 1.10; HTTP API, section 4.3.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from chalicelib.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    TooLargeError,
    UnavailableError,
)
from chalicelib.domain.event_sources import MAX_EVENT_BYTES, source_of
from chalicelib.domain.inputs import CheckedInput, check_input
from chalicelib.domain.job import SECRET_MASK, Job, Slot
from chalicelib.domain.lifecycle import SourceType, StepStatus
from chalicelib.domain.values import JsonObject
from chalicelib.domain.worker_groups import ANY_WORKER, WorkerPass
from chalicelib.domain.workflow import Task, TriggerType
from chalicelib.engine.advance import start
from chalicelib.engine.concurrency import trigger_key
from chalicelib.engine.engine import Engine
from chalicelib.engine.event_sources import is_on
from chalicelib.engine.firing import Armed, arm
from chalicelib.engine.foreign import bind_runnable
from chalicelib.engine.making import NewJob, derived_id, make
from chalicelib.engine.opening import Opened, reads_secrets
from chalicelib.engine.payloads import encode
from chalicelib.engine.remote_scope import runs_step
from chalicelib.engine.steps import Hold

AGAIN_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `number` is its place among those of the attempt `hold`, from 1.

    Strøm's own worker says neither: then each call is an event of its own.
    """

    workspace: str
    task: str
    source_id: str
    input: JsonObject
    hold: Hold | None = None
    number: int | None = None


def emit(engine: Engine, event: Event, shown: WorkerPass = ANY_WORKER) -> Job:
    """Start the job that the event stands for; a repeat of a numbered event returns it.

    Raises:
        NotFoundError: there is no such event source, or it is off.
        InvalidError: the event does not fit its trigger or its task.
        PermissionDeniedError: the caller does not run the consumer.
        TooLargeError: over `MAX_EVENT_BYTES`.
        RateLimitedError: as many jobs as may be are in flight: the consumer must wait.
    """
    size = len(encode(event.input))
    if size > MAX_EVENT_BYTES:
        raise TooLargeError(
            f"the event has {size} bytes of JSON; {MAX_EVENT_BYTES} are allowed: put the data "
            "somewhere and emit where it is"
        )
    armed = _armed(engine, event)
    _check_consumer(engine, armed, event, shown)
    job_id = _job_id(engine, event)
    known = _find(engine, job_id) if event.number is not None else None
    if known is not None:
        return known
    return _start(engine, armed, event, job_id)


def _armed(engine: Engine, event: Event) -> Armed:
    workspace, slash, name = event.source_id.partition("/")
    if not slash or workspace != event.workspace:
        raise InvalidError("source_id is `workspace/trigger`, of the workspace that is named")
    armed = arm(engine, workspace, name)
    trigger = armed.trigger
    if trigger.type is not TriggerType.EVENT_SOURCE or not is_on(engine, armed):
        raise NotFoundError(f"there is no event source {event.source_id[:160]!r} that is on")
    if trigger.target_task != event.task:
        raise InvalidError(f"event source {armed.key} starts {trigger.target_task!r}, not others")
    return armed


def _check_consumer(engine: Engine, armed: Armed, event: Event, shown: WorkerPass) -> None:
    """Let pass who runs a step of the consumer: its lease says so, else its session."""
    record = engine.event_sources.record(armed.workspace, armed.trigger.key)
    job_id = event.hold.ref.job_id if event.hold else record.job_id if record else None
    job = _find(engine, job_id) if job_id else None
    consumes = source_of(engine.plan_of(job).definition, job) if job else None
    is_consumer = consumes is not None and consumes[1].source_id == armed.key
    if job is None or not is_consumer or not _runs(engine, job, event, shown):
        raise PermissionDeniedError(
            f"only the worker that runs the consumer of {armed.key} emits for it"
        )


def _runs(engine: Engine, job: Job, event: Event, shown: WorkerPass) -> bool:
    if event.hold is None:
        steps = engine.jobs.load(job.job_id).steps.values()
        return any(
            step.status is StepStatus.RUNNING and runs_step(engine, shown, step) for step in steps
        )
    hold = event.hold
    step = engine.jobs.load_steps(job.job_id, (hold.ref.step,)).steps.get(hold.ref.step)
    return (
        step is not None
        and step.status is StepStatus.RUNNING
        and (step.attempt, step.lease) == (hold.attempt, hold.lease)
        and runs_step(engine, shown, step)
    )


def _job_id(engine: Engine, event: Event) -> str:
    if event.hold is None or event.number is None:
        return engine.ids.job_id()
    ref = event.hold.ref
    place = (ref.job_id, ref.step, str(event.hold.attempt), str(event.number))
    return derived_id(event.workspace, "event", event.source_id, *place)


def _start(engine: Engine, armed: Armed, event: Event, job_id: str) -> Job:
    slots = _slots(engine, armed)
    task = task_of(armed, event.task)
    bound = bind_runnable(engine, armed.workspace, armed.definition, task)
    new = NewJob(
        job_id=job_id,
        workspace=armed.workspace,
        revision=armed.revision,
        definition=bound.definition,
        task=task,
        input=input_of(engine, armed, task, event.input),
        source_type=SourceType.EVENT_SOURCE,
        source_id=armed.key,
        slots=slots,
        pins=bound.pins,
    )
    job, is_new = make(engine, new)
    if is_new:
        # The job stands; what is not sent now, the sweep sees to.
        with suppress(ConflictError, UnavailableError):
            start(engine, job)
    return job


def _slots(engine: Engine, armed: Armed) -> tuple[Slot, ...]:
    """Return the place that the job must have; where none is free, the consumer waits instead.

    Of two that ask at once both may see the last place: one of their jobs then waits for it.
    """
    limit = armed.trigger.max_in_flight
    if limit is None:
        return ()
    key = trigger_key(armed.workspace, armed.trigger.key)
    line = engine.slots.line(key, 1)
    if len(line.holders) >= limit or line.waiters:
        raise RateLimitedError(
            f"{limit} jobs of {armed.key} are in flight: wait for one of them to end", AGAIN_S
        )
    return (Slot(key, limit),)


def task_of(armed: Armed, name: str) -> Task:
    """Return the task that the trigger starts.

    Raises:
        InvalidError: it is not there.
    """
    task = armed.definition.tasks.get(name)
    if task is None:
        raise InvalidError(f"event source {armed.key} names a task that is not there")
    return task


def input_of(engine: Engine, armed: Armed, task: Task, event: JsonObject) -> CheckedInput:
    """Return the event over the trigger's input; templates are rendered in that only.

    Raises:
        InvalidError: it does not fit the task.
    """
    written = armed.trigger.input
    opened = Opened(engine, armed.workspace, armed.definition)
    context: JsonObject = {"trigger": {"name": armed.trigger.key, "workspace": armed.workspace}}
    given = {name: opened.render_input(value, context) for name, value in written.items()}
    checked = check_input(task.input, {**given, **event}, armed.definition)
    values = {**checked.shown, **checked.secret}
    hidden = {
        name: value
        for name, value in values.items()
        if name in checked.secret or (name not in event and reads_secrets(written.get(name)))
    }
    return CheckedInput({**values, **dict.fromkeys(hidden, SECRET_MASK)}, hidden)


def _find(engine: Engine, job_id: str) -> Job | None:
    try:
        return engine.jobs.get(job_id)
    except NotFoundError:
        return None
