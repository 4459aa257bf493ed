"""A step's attempt, from claim to end.

Claiming and completing are one conditional write each; what follows from them is decided
afterwards from a strong read of the whole job. Source: protocol, "Moves".
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil

from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    NotFoundError,
    StroemError,
    TemplateError,
    TooEarlyError,
    UnavailableError,
)
from chalicelib.domain.event_sources import EventSource, source_of
from chalicelib.domain.job import Job, JobState
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import flow_key, instance_of
from chalicelib.domain.values import JsonValue, StepRef
from chalicelib.domain.workflow import Action, FlowStep
from chalicelib.engine import ending, loops, watching
from chalicelib.engine.advance import advance, run
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.attempts import (
    MAX_ERROR_BYTES,
    EndedBy,
    Ending,
    Hold,
    accept_end,
    clipped,
    end_attempt,
    end_failed,
    retry_policy,
)
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.ports import Claim, Message
from chalicelib.engine.rendering import RenderedStep, render_step, steps_read
from chalicelib.engine.rounds import ended, round_of

__all__ = [
    "MAX_ERROR_BYTES",
    "Assignment",
    "EndedBy",
    "Hold",
    "Outcome",
    "begin_claimed",
    "claim",
    "clipped",
    "complete",
    "fail",
    "hand_back",
    "retry_policy",
    "take_lease",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A claimed attempt, with all that a worker needs to run it.

    `workspace` and `revision` are those of the files: of another workspace's action, its owner's.
    `emits` is there for a step of an event source's consumer. `watched`: somebody watches the job
    live.
    """

    hold: Hold
    workspace: str
    revision: str
    task: str
    action: Action
    rendered: RenderedStep
    timeout_s: int | None
    emits: EventSource | None = None
    watched: bool = False

    @property
    def idempotency_key(self) -> str:
        """Return the key that stays the same over all attempts of the step."""
        return f"{self.hold.ref.job_id}/{self.hold.ref.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended, as its worker tells it. No error means that it completed."""

    error: str | None = None
    output: JsonValue = None
    cancelled: bool = False


def claim(engine: Engine, message: Message, session: str, worker: str) -> Assignment | None:
    """Claim the attempt that the message speaks of; None when it is not to be had.

    None means that the message has done its work and may go: another worker has the attempt, it
    has ended, or the job has.

    Raises:
        TemplateError: the step's templates failed; the step is ended as failed already.
        TooEarlyError: a retry whose time has not come: the message must stay.
        NotFoundError: what the step needs is gone; the attempt is ended as failed.
        UnavailableError: what it needs is not to be had now; the attempt is handed back, and the
            message must stay.
    """
    hold = take_lease(engine, message, session, worker)
    return None if hold is None else begin_claimed(engine, hold)


def take_lease(engine: Engine, message: Message, session: str, worker: str) -> Hold | None:
    """Claim the attempt and nothing more; None when it is not to be had.

    Raises:
        TooEarlyError: a retry whose time has not come.
    """
    hold = Hold(message.ref, message.attempt, engine.ids.nonce())
    wanted = Claim(
        ref=hold.ref,
        attempt=hold.attempt,
        lease=hold.lease,
        session=session,
        worker=worker,
        at=engine.clock.now(),
    )
    try:
        engine.jobs.claim_step(wanted)
    except TooEarlyError:
        raise
    except ConflictError:
        return None
    return hold


def begin_claimed(engine: Engine, hold: Hold, whole: JobState | None = None) -> Assignment | None:
    """Return what a claimed attempt is to run. `whole` is the job, as read after the claim.

    Raises: as `claim`.
    """
    try:
        return _begin(engine, hold, whole)
    except NotFoundError as error:
        # Nobody knows of this attempt, so nobody would end it before the sweep finds it lost.
        with suppress(StroemError):
            fail(engine, hold, f"The step could not begin: {error.message}")
        raise
    except UnavailableError:
        with suppress(StroemError):
            hand_back(engine, hold)
        raise


def hand_back(engine: Engine, hold: Hold) -> None:
    """Make an attempt that was claimed and did not begin ready again.

    Raises:
        FencedError: the lease does not hold the step.
        ConflictError: it does, but the job was cancelled.
    """
    engine.jobs.hand_back(hold.ref, hold.attempt, hold.lease, f"{hold.lease}/back")


def complete(engine: Engine, hold: Hold, outcome: Outcome) -> None:
    """Accept the end of an attempt and go on with the job. A repeat by the same lease is harmless.

    Raises:
        FencedError: the lease does not hold the step: its worker must drop what it did.
    """
    if outcome.error is not None and not outcome.cancelled:
        fail(engine, hold, outcome.error, output=outcome.output)
        return
    end = Ending(StepStatus.COMPLETED, outcome.error, outcome.output)
    agenda = Agenda()
    job = None
    if outcome.cancelled:
        job = engine.jobs.get(hold.ref.job_id)
        end = replace(end, status=StepStatus.CANCELLED, halted=job.status is JobStatus.CANCELLED)
    record = accept_end(engine, hold, end)
    if instance_of(hold.ref.step) is None:
        agenda.look(hold.ref.job_id, since=hold.ref.step)
    else:
        plan = engine.known_plan(hold.ref.job_id)
        plan = plan or engine.plan_of(job or engine.jobs.get(hold.ref.job_id))
        ended(engine, agenda, plan.flow.steps[flow_key(hold.ref.step)], hold.ref, record)
    run(engine, agenda)


def fail(
    engine: Engine,
    hold: Hold,
    error: str,
    *,
    output: JsonValue = None,
    by: EndedBy = EndedBy.WORKER,
) -> None:
    """End an attempt as failed, or send it back for another where its policy allows one.

    In a cancelled job it ends as cancelled, and is never tried again.

    Raises:
        FencedError: the lease does not hold the step.
    """
    state = engine.jobs.load_steps(hold.ref.job_id, (hold.ref.step,))
    plan = engine.plan_of(state.job)
    agenda = Agenda()
    seen = state.job
    state = replace(state, job=ending.expire(engine, plan, seen))
    failure = Ending(StepStatus.FAILED, error, output, by)
    record = end_failed(engine, plan, state, hold, failure)
    if record.status.is_terminal:
        ended(engine, agenda, plan.flow.steps[flow_key(hold.ref.step)], hold.ref, record)
    elif flow_key(hold.ref.step) not in plan.flow.by_engine:
        loops.send_attempt(engine, agenda, plan, state.job, hold.ref, record)
        agenda.flush(engine)
    if state.job is not seen:
        agenda.look(state.job.job_id)
    if not agenda.looks:
        watching.pulse(engine, seen)
    run(engine, agenda)


def _begin(engine: Engine, hold: Hold, whole: JobState | None) -> Assignment | None:
    """Read META after the claim, as `cancel` reads the steps after META, and render.

    What the templates read comes with it, where it is known what the job runs.
    """
    plan = engine.known_plan(hold.ref.job_id)
    read = _read_by(plan, hold.ref) if plan else ()
    state = whole or engine.jobs.load_steps(hold.ref.job_id, read)
    if state.job.status.is_terminal:
        _give_up(engine, hold)
        return None
    if state.job.paused:
        _wait(engine, hold)
        return None
    if state.job.status is JobStatus.PENDING:
        engine.jobs.start(hold.ref.job_id, engine.clock.now())
    if plan is None:
        plan = engine.plan_of(state.job)
        read = _read_by(plan, hold.ref)
        if read and whole is None:
            state = engine.jobs.load_steps(hold.ref.job_id, read)
    assignment = _assignment(engine, plan, state, hold)
    if assignment.watched:
        watching.pulse(engine, state.job)
    return assignment


def _read_by(plan: Plan, ref: StepRef) -> tuple[str, ...]:
    """Return the steps whose records an attempt's templates need; an instance's loop is one."""
    instance = instance_of(ref.step)
    read = steps_read(plan, plan.flow.steps[flow_key(ref.step)])
    return (*read, instance.step) if instance else read


def _wait(engine: Engine, hold: Hold) -> None:
    """Hand an attempt of a paused job back; whoever lets the job go on sends it again."""
    with suppress(ConflictError):
        hand_back(engine, hold)
    if not engine.jobs.get(hold.ref.job_id).paused:
        # It went on before the attempt was back.
        advance(engine, hold.ref.job_id)


def _assignment(engine: Engine, plan: Plan, state: JobState, hold: Hold) -> Assignment:
    instance = instance_of(hold.ref.step)
    step = plan.flow.steps[flow_key(hold.ref.step)]
    try:
        each = round_of(engine, state, instance) if instance else None
        rendered = render_step(engine, plan, state, step, each)
    except TemplateError as error:
        fail(engine, hold, error.message)
        raise
    source = source_of(plan.definition, state.job)
    owner = plan.owner_of(step)
    return Assignment(
        hold=hold,
        workspace=owner.workspace if owner else state.job.workspace,
        revision=owner.revision if owner else state.job.revision,
        task=state.job.task,
        action=plan.definition.action_of(step),
        rendered=rendered,
        timeout_s=_timeout_s(engine, state.job, step),
        emits=source[1] if source else None,
        watched=state.job.is_watched(engine.clock.now()),
    )


def _timeout_s(engine: Engine, job: Job, step: FlowStep) -> int | None:
    """Return how long the attempt may run: until its own timeout, or its job's deadline."""
    limits = [step.timeout_s or engine.limits.default_step_timeout_s]
    if job.deadline is not None:
        limits.append(max(1, ceil((job.deadline - engine.clock.now()).total_seconds())))
    return min((limit for limit in limits if limit is not None), default=None)


def _give_up(engine: Engine, hold: Hold) -> None:
    """End an attempt that was claimed after its job had ended: it never ran.

    The job may have waited for it with what its end leaves to do.
    """
    error = "Job ended before the step began"
    with suppress(FencedError):
        end_attempt(engine, hold, Ending(StepStatus.CANCELLED, error, halted=True))
    advance(engine, hold.ref.job_id, since=hold.ref.step)
