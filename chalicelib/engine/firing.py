"""Make the job of a trigger: for one nominal time at most one, however often it is asked for.

Source: protocol, I5; decision 8; workflow language, section 1.10.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from chalicelib.domain.inputs import CheckedInput, check_input
from chalicelib.domain.job import SECRET_MASK, Job, JobState, Slot
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.plan import Dispatch, decide
from chalicelib.domain.schedule.cron import zone_of
from chalicelib.domain.template import has_template
from chalicelib.domain.typed import typed
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Definition, OnLimit, Task, Trigger, TriggerType
from chalicelib.engine import queries_registry
from chalicelib.engine.advance import start
from chalicelib.engine.concurrency import trigger_key
from chalicelib.engine.engine import Engine
from chalicelib.engine.foreign import bind_runnable
from chalicelib.engine.making import NewJob, derived_id, make
from chalicelib.engine.opening import Opened, reads_secrets

_POLICIES = {"skip": OnLimit.SKIP, "cancel_previous": OnLimit.CANCEL_PREVIOUS}


@dataclass(frozen=True, slots=True)
class Armed:
    """A trigger of the revision in force, with all that its jobs are made of."""

    workspace: str
    revision: str
    definition: Definition
    trigger: Trigger

    @property
    def key(self) -> str:
        """Return what its jobs name as their source."""
        return f"{self.workspace}/{self.trigger.key}"

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Return the place that its jobs must have, where no two are to run at a time."""
        policy = _POLICIES.get(self.trigger.concurrency)
        return () if policy is None else (Slot(_slot_key(self), 1, policy),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a trigger: its nominal time, when it is to begin, the places that it needs.

    `job_id` is given where it does not follow from the nominal time.
    """

    nominal: datetime
    start_at: datetime | None = None
    slots: tuple[Slot, ...] = ()
    job_id: str | None = None


def arm(engine: Engine, workspace: str, name: str) -> Armed:
    """Return the trigger as the revision in force has it.

    Raises:
        NotFoundError: there is no such workspace or trigger.
    """
    record = queries_registry.workspace_of(engine, workspace)
    if record.revision is not None:
        definition = engine.definitions.load(workspace, record.revision)
        if name in definition.triggers:
            return Armed(workspace, record.revision, definition, definition.triggers[name])
    raise NotFoundError(f"workspace {workspace!r} has no trigger {name[:80]!r}")


def job_id_of(workspace: str, trigger: str, nominal: datetime) -> str:
    """Return the id of the job that the nominal time stands for.

    No idempotency key of a request can hold a line's end, so none makes the same id.
    """
    return derived_id(workspace, "trigger", trigger, _text(nominal))


def fire(engine: Engine, armed: Armed, run: Run) -> tuple[Job, bool]:
    """Make the job and send its first steps; return what its id stands for, and if it is new.

    Raises:
        InvalidError: its input does not fit, or the task uses what is not executed yet.
    """
    task = _task(armed)
    bound = bind_runnable(engine, armed.workspace, armed.definition, task)
    new = NewJob(
        job_id=run.job_id or job_id_of(armed.workspace, armed.trigger.key, run.nominal),
        workspace=armed.workspace,
        revision=armed.revision,
        definition=bound.definition,
        task=task,
        input=_input(engine, armed, task, run.nominal),
        source_type=SourceType.TRIGGER,
        source_id=armed.key,
        start_at=run.start_at,
        slots=run.slots,
        pins=bound.pins,
    )
    job, is_new = make(engine, new)
    if is_new:
        # The job stands; what is not sent now, the sweep sees to.
        with suppress(ConflictError, UnavailableError):
            start(engine, job)
    return job, is_new


def run_now(engine: Engine, workspace: str, name: str, key: str | None = None) -> Job:
    """Run a trigger now, whether or not it is enabled; the same `key` makes at most one job.

    Raises:
        NotFoundError: there is no such workspace or trigger.
        InvalidError: as `fire`, or it is an event source.
    """
    armed = arm(engine, workspace, name)
    if armed.trigger.type is TriggerType.EVENT_SOURCE:
        raise InvalidError(f"trigger {armed.key} is an event source: it runs all the time")
    job_id = derived_id(workspace, "run", name, key) if key else engine.ids.job_id()
    run = Run(nominal=engine.clock.now(), slots=armed.slots, job_id=job_id)
    return fire(engine, armed, run)[0]


def needs_waking(engine: Engine, job: Job) -> bool:
    """Say whether a job that was made ahead of its time needs a look then.

    One whose first steps wait in the queue does not.
    """
    if job.start_at is None or job.start_at <= engine.clock.now() or job.status.is_terminal:
        return False
    commands = decide(engine.plan_of(job).flow, JobState(job), job.start_at, set())
    return not commands or not all(isinstance(command, Dispatch) for command in commands)


def _task(armed: Armed) -> Task:
    task = armed.definition.tasks.get(armed.trigger.task)
    if task is None:
        raise InvalidError(f"trigger {armed.key} names a task that is not there")
    return task


def _input(engine: Engine, armed: Armed, task: Task, nominal: datetime) -> CheckedInput:
    """Return the trigger's input, rendered; what reads secrets is kept as they are."""
    written = armed.trigger.input
    opened = Opened(engine, armed.workspace, armed.definition)
    context: JsonObject = {"trigger": _told(armed, nominal)}
    given = {name: opened.render_input(value, context) for name, value in written.items()}
    for name, value in given.items():
        template = written[name]
        if name in task.input and isinstance(template, str) and has_template(template):
            given[name] = typed(task.input[name], value) if isinstance(value, str) else value
    checked = check_input(task.input, given, armed.definition)
    values = {**checked.shown, **checked.secret}
    hidden = {
        name: value
        for name, value in values.items()
        if name in checked.secret or reads_secrets(written.get(name))
    }
    return CheckedInput({**values, **dict.fromkeys(hidden, SECRET_MASK)}, hidden)


def _told(armed: Armed, nominal: datetime) -> JsonObject:
    local = nominal.astimezone(zone_of(armed.trigger.timezone))
    return {
        "name": armed.trigger.key,
        "workspace": armed.workspace,
        "scheduled_at": _text(nominal),
        "scheduled_local": local.isoformat(timespec="seconds"),
    }


def _slot_key(armed: Armed) -> str:
    return trigger_key(armed.workspace, armed.trigger.key)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
