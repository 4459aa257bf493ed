"""Fire the hooks of a job's end, or of an approval that waits: one job for each hook.

The ids of their jobs follow from the event, so that each fires once however often it is tried; one
that cannot be made is told of in the log of the job that it belongs to, and keeps no other back.
Source: workflow language, section 1.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.hooks import HookEvent, event_of, hooks_of, named_task, task_of
from chalicelib.domain.job import Job, JobState, Note
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.logs import stamp
from chalicelib.domain.outcomes import error_message, failed_steps
from chalicelib.domain.values import JsonObject, StepRef
from chalicelib.domain.workflow import Hook
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.attempts import clipped
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.foreign import bind
from chalicelib.engine.handing import Handed, check_handed
from chalicelib.engine.making import NewJob, derived_id, make
from chalicelib.engine.opening import Opened
from chalicelib.engine.redaction import redactor_for, redactor_of


def of_end(plan: Plan, job: Job, status: JobStatus) -> tuple[Hook, ...]:
    """Return the hooks that fire when the job ends so."""
    event = event_of(status)
    return hooks_of(plan.definition, plan.task, job, event) if event else ()


def fire(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> bool:
    """Make the jobs of the ended job's hooks; say whether it is done."""
    event = event_of(state.job.status)
    if event is not None:
        _fire_all(engine, agenda, plan, state.job, _Firing(event, ended(engine, plan, state)))
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """An approval that waits. Whoever has one of the addresses may answer until `expires_at`."""

    ref: StepRef
    attempt: int
    message: str
    approve_url: str | None = None
    reject_url: str | None = None
    expires_at: datetime | None = None


def fire_suspended(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, waits: Suspension
) -> None:
    """Make the jobs of the hooks that tell of an approval which waits.

    What holds an address is kept as secrets are.
    """
    context: JsonObject = {
        **_origin(state.job),
        "step_name": waits.ref.step,
        "message": waits.message,
        "approve_url": waits.approve_url,
        "reject_url": waits.reject_url,
        "expires_at": stamp(waits.expires_at) if waits.expires_at else None,
    }
    where = (waits.ref.step, str(waits.attempt))
    addresses = tuple(url for url in (waits.approve_url, waits.reject_url) if url)
    firing = _Firing(HookEvent.SUSPENDED, context, where, addresses)
    _fire_all(engine, agenda, plan, state.job, firing)


@dataclass(frozen=True, slots=True)
class _Firing:
    """What hooks fire on. `where` tells one suspension of a job from another."""

    event: HookEvent
    context: JsonObject
    where: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


def _fire_all(engine: Engine, agenda: Agenda, plan: Plan, job: Job, firing: _Firing) -> None:
    for index, hook in enumerate(hooks_of(plan.definition, plan.task, job, firing.event)):
        name = f"{firing.event}[{index}]"
        try:
            new = _new_job(engine, plan, job, firing, (index, hook))
        except InvalidError as error:
            redactor = redactor_for(engine, job, plan.definition)
            why = redactor_of(firing.secrets).text(redactor.text(error.message))
            text = f"Hook {name} ('{hook.action}') did not fire: {clipped(why)}"
        else:
            made, _ = make(engine, new)
            agenda.look(made.job_id)
            text = f"Hook {name} ('{hook.action}') runs as job {made.job_id}"
        note = Note("/".join((name, *firing.where)), engine.clock.now(), text)
        engine.jobs.tell(job.job_id, note)


def _new_job(
    engine: Engine, plan: Plan, job: Job, firing: _Firing, numbered: tuple[int, Hook]
) -> NewJob:
    """Return the job of one hook.

    Raises:
        InvalidError: it cannot be made.
    """
    index, hook = numbered
    if hook.action in plan.owners:
        raise InvalidError(
            f"action {hook.action!r} is another workspace's: only steps of flows can use it"
        )
    asked = named_task(plan.definition, hook)
    bound = bind(engine, job.workspace, plan.definition, asked, job.pins)
    task = task_of(bound.definition, hook)
    opened = Opened(engine, job.workspace, plan.definition)
    context: JsonObject = {"hook": firing.context}
    rendered = {name: opened.render_input(value, context) for name, value in hook.input.items()}
    handed = Handed(hook.input, rendered, firing.secrets)
    action = plan.definition.actions[hook.action]
    return NewJob(
        job_id=derived_id(job.job_id, "hook", firing.event, *firing.where, str(index)),
        workspace=job.workspace,
        revision=job.revision,
        definition=bound.definition,
        task=task,
        pins=bound.pins,
        input=check_handed(engine, plan, job, action, task, handed),
        source_type=SourceType.HOOK,
        source_id=f"{job.job_id}/{firing.event}[{index}]",
        from_hook=True,
        # The suspended job holds its places until it is answered, which the hook may lead to.
        skip_limits=firing.event is HookEvent.SUSPENDED,
    )


def _origin(job: Job) -> JsonObject:
    return {
        "workspace": job.workspace,
        "task_name": job.task,
        "job_id": job.job_id,
        "source_type": job.source_type.value,
        "source_id": job.source_id,
    }


def ended(engine: Engine, plan: Plan, state: JobState) -> JsonObject:
    """Return what is told of a job's end, as hooks' templates read it; secrets are hidden."""
    job = state.job
    ended_at = job.completed_at or engine.clock.now()
    took = (ended_at - (job.started_at or ended_at)).total_seconds()
    message = error_message(plan.flow, state)
    if message is not None:
        message = redactor_for(engine, job, plan.definition).text(message)
    return {
        **_origin(job),
        "status": job.status.value,
        "is_success": job.status is JobStatus.COMPLETED,
        "error_message": message,
        "started_at": stamp(job.started_at) if job.started_at else None,
        "completed_at": stamp(ended_at),
        "duration_secs": round(took, 3),
        "failed_steps": list(failed_steps(plan.flow, state)),
        "artifacts": [],
    }
