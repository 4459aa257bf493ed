"""Sub-jobs: the job that a step of `type: task` stands for, from its start to the step's end.

The step's record is written first and the sub-job's META then; the sub-job's id follows from the
step and its attempt, so whoever finds it missing makes the same one. Source: state machines, 3.8.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    InvalidError,
    NotFoundError,
    TemplateError,
)
from chalicelib.domain.hooks import runnable
from chalicelib.domain.inputs import CheckedInput
from chalicelib.domain.job import MAX_DEPTH, AfterAction, Job, JobState, Parent, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.loops import flow_key, instance_of
from chalicelib.domain.outcomes import error_message, output_of
from chalicelib.domain.values import JsonObject, StepRef
from chalicelib.domain.workflow import Task
from chalicelib.engine.agenda import Agenda, Stop
from chalicelib.engine.attempts import EndedBy, Ending, Hold, clipped, end_attempt, end_failed
from chalicelib.engine.decisions import Decision
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.handing import Handed, check_handed
from chalicelib.engine.making import NewJob, derived_id, make, tombstone
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.redaction import redactor_for
from chalicelib.engine.rendering import Round, render_input
from chalicelib.engine.rerun_records import with_takeover
from chalicelib.engine.rounds import ended, loops_over_secrets, masked_round, round_of


def decide(
    engine: Engine, plan: Plan, state: JobState, ref: StepRef, attempt: int, each: Round | None
) -> Decision:
    """Decide on a step of `type: task` whose turn has come: `RUNNING` with a child, or failed."""
    try:
        _task_and_input(engine, plan, state, ref, each)
    except InvalidError as error:
        return Decision(
            status=StepStatus.FAILED, error=_readable(engine, plan, state, error.message)
        )
    child = derived_id(ref.job_id, ref.step, str(attempt))
    return Decision(status=StepStatus.RUNNING, child=child, lease=child)


def ensure(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, ref: StepRef, record: StepRecord
) -> None:
    """Make the sub-job that the record names, where it is missing, and have it looked at."""
    if record.child is None or _find(engine, record.child) is not None:
        return
    instance = instance_of(ref.step)
    each = round_of(engine, state, instance) if instance else None
    try:
        task, given = _task_and_input(engine, plan, state, ref, each)
    except InvalidError as error:
        # It was right when the step was begun; a template such as `now()` gives another value.
        why = _readable(engine, plan, state, error.message)
        failure = Ending(StepStatus.FAILED, why, by=EndedBy.CHILD)
        _end_step(engine, agenda, plan, state, _hold(ref, record), failure)
        return
    new = _new_child(plan, state.job, task, given, Parent(ref, record.attempt))
    make(engine, with_takeover(engine, state.job, new))
    _pause_with(engine, ref.job_id, record.child)
    agenda.look(record.child)


def propagate(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> bool:
    """End the parent's step as the sub-job ended; say whether it is done."""
    parent = state.job.parent
    if parent is None:
        return True
    try:
        above = engine.jobs.load_steps(parent.ref.job_id, (parent.ref.step,))
    except NotFoundError:
        return True
    hold = Hold(parent.ref, parent.attempt, state.job.job_id)
    ending = _ending(engine, plan, state, above.job)
    _end_step(engine, agenda, engine.plan_of(above.job), above, hold, ending)
    return True


def stop(engine: Engine, agenda: Agenda, job: Job, record: StepRecord) -> None:
    """Cancel the sub-job of a halted step; one that was never made is kept from being made."""
    if record.child is None:
        return
    child = _find(engine, record.child)
    if child is None:
        child = _keep_from_being_made(engine, job, record, record.child)
    if not child.status.is_terminal or AfterAction.PARENT in child.after:
        reason = f"Step {record.step!r} of job {job.job_id} was cancelled"
        agenda.cancel(record.child, Stop(reason, killed=job.killed))
        return
    hold = _hold(StepRef(job.job_id, record.step), record)
    never = "Job cancelled before its sub-job began"
    ending = Ending(StepStatus.CANCELLED, never, by=EndedBy.CHILD, halted=True)
    _end_step(engine, agenda, engine.plan_of(job), JobState(job), hold, ending)


def _task_and_input(
    engine: Engine, plan: Plan, state: JobState, ref: StepRef, each: Round | None
) -> tuple[Task, CheckedInput]:
    """Return what the sub-job runs, and with what.

    Raises:
        InvalidError: it cannot be made so; the step fails with the message.
    """
    step = plan.flow.steps[flow_key(ref.step)]
    action = plan.definition.action_of(step)
    if state.job.depth >= MAX_DEPTH:
        raise InvalidError(
            f"Sub-jobs are nested more than {MAX_DEPTH} deep: task {state.job.task!r} at depth "
            f"{state.job.depth} cannot start task {action.task!r}; look for a task that starts "
            "itself through others"
        )
    task = runnable(plan.definition, action.task or "")
    rendered = render_input(engine, plan, state, step, each)
    derived = _derived(engine, plan, state, ref, each, rendered)
    handed = Handed(step.input, rendered, derived=derived)
    return task, check_handed(engine, plan, state.job, action, task, handed)


def _derived(
    engine: Engine,
    plan: Plan,
    state: JobState,
    ref: StepRef,
    each: Round | None,
    rendered: JsonObject,
) -> frozenset[str]:
    """Return the names of the values that are others when the secrets of job or loop are."""
    step = plan.flow.steps[flow_key(ref.step)]
    if state.job.secret_input is None and not (each and loops_over_secrets(step)):
        return frozenset()
    masked = replace(state, job=replace(state.job, secret_input=None))
    if each is not None:
        each = masked_round(engine, plan, masked, step, each)
    try:
        others = render_input(engine, plan, masked, step, each)
    except TemplateError:
        return frozenset(rendered)
    return frozenset(name for name, value in rendered.items() if others.get(name) != value)


def _new_child(plan: Plan, job: Job, task: Task, given: CheckedInput, parent: Parent) -> NewJob:
    ref = parent.ref
    return NewJob(
        job_id=derived_id(ref.job_id, ref.step, str(parent.attempt)),
        workspace=job.workspace,
        revision=job.revision,
        definition=plan.definition,
        task=task,
        input=given,
        source_type=SourceType.TASK,
        source_id=f"{ref.job_id}/{ref.step}",
        priority=job.priority,
        parent=parent,
        depth=job.depth + 1,
        from_hook=job.from_hook,
        pins=job.pins,
        # It runs in its parent's place: a parent that holds the last one would wait for itself.
        skip_limits=True,
    )


def _pause_with(engine: Engine, parent: str, child: str) -> None:
    """Pause a new sub-job whose parent is paused.

    Whoever pauses or resumes writes the parent first and looks for its sub-jobs then; this does it
    the other way round, so one of the two always sees the other.
    """
    with suppress(ConflictError, NotFoundError):
        if engine.jobs.get(parent).paused:
            engine.jobs.pause(child, paused=True)
            if not engine.jobs.get(parent).paused:
                engine.jobs.pause(child, paused=False)


def _ending(engine: Engine, plan: Plan, state: JobState, parent: Job) -> Ending:
    job = state.job
    if job.status is JobStatus.COMPLETED:
        outputs = {
            key: load_payload(engine.blobs, state.steps[key].output)
            for key in plan.flow.sinks
            if key in state.steps
        }
        output = output_of(plan.flow, job.status, outputs)
        return Ending(StepStatus.COMPLETED, output=output, by=EndedBy.CHILD)
    why = error_message(plan.flow, state)
    told = f": {redactor_for(engine, job, plan.definition).text(why)}" if why else ""
    if job.status is JobStatus.FAILED:
        return Ending(StepStatus.FAILED, f"Child job {job.job_id} failed{told}", by=EndedBy.CHILD)
    return Ending(
        StepStatus.CANCELLED,
        f"Child job {job.job_id} was {job.status}{told}",
        by=EndedBy.CHILD,
        halted=parent.status is JobStatus.CANCELLED,
    )


def _end_step(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, hold: Hold, wanted: Ending
) -> None:
    """End the step, unless it has ended otherwise; have its job looked at where more follows."""
    ref = hold.ref
    with suppress(FencedError):
        if wanted.status is StepStatus.FAILED:
            record = end_failed(engine, plan, state, hold, wanted)
        else:
            record = end_attempt(engine, hold, wanted)
        if record.status.is_terminal:
            ended(engine, agenda, plan.flow.steps[flow_key(ref.step)], ref, record)
        else:
            agenda.look(ref.job_id, since=ref.step)


def _keep_from_being_made(engine: Engine, job: Job, record: StepRecord, child: str) -> Job:
    """Write a cancelled job where the sub-job would stand; return what stands there then."""
    plan = engine.plan_of(job)
    ref = StepRef(job.job_id, record.step)
    step = plan.flow.steps[flow_key(record.step)]
    task = plan.definition.tasks[plan.definition.action_of(step).task or ""]
    parent = Parent(ref, record.attempt)
    new = _new_child(plan, job, task, CheckedInput({}, {}), parent)
    return tombstone(engine, new, f"Job {job.job_id} was cancelled before {child} was made")


def _find(engine: Engine, job_id: str) -> Job | None:
    try:
        return engine.jobs.get(job_id)
    except NotFoundError:
        return None


def _hold(ref: StepRef, record: StepRecord) -> Hold:
    return Hold(ref, record.attempt, record.lease or "")


def _readable(engine: Engine, plan: Plan, state: JobState, message: str) -> str:
    redactor = redactor_for(engine, state.job, plan.definition)
    return clipped(redactor.text(message)) or ""
