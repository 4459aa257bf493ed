"""A step's attempt, from claim to end.

Claiming and completing are one conditional write each; what follows from them is decided
afterwards from a strong read of the whole job. Source: protocol, "Moves".
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chalicelib.domain import keys
from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    NotFoundError,
    StroemError,
    TemplateError,
    TooEarlyError,
    UnavailableError,
)
from chalicelib.domain.job import JobState, PastAttempt
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.retry import attempts_left, next_delay
from chalicelib.domain.values import JsonValue, StepRef
from chalicelib.domain.workflow import Action, FlowStep, Retry
from chalicelib.engine.advance import settle
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import store_payload
from chalicelib.engine.ports import Claim, Message, StepEnd, StepRetry
from chalicelib.engine.rendering import RenderedStep, render_step, steps_read

MAX_ERROR_BYTES = 1024


class EndedBy(StrEnum):
    """Who ends an attempt.

    It is part of the write's nonce: nobody takes another's end for its own.
    """

    WORKER = "worker"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class Hold:
    """A running attempt, and the lease that holds it."""

    ref: StepRef
    attempt: int
    lease: str

    def nonce(self, by: EndedBy) -> str:
        """Return the nonce of the write that ends the lease.

        The same however often it is tried.
        """
        return f"{self.lease}/{by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A claimed attempt, with all that a worker needs to run it."""

    hold: Hold
    workspace: str
    revision: str
    task: str
    action: Action
    rendered: RenderedStep
    timeout_s: int | None

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
        UnavailableError, NotFoundError: what the step needs is not to be had; the attempt is ended
            as failed, if that at least can be written.
    """
    hold = Hold(message.ref, message.attempt, engine.ids.nonce())
    now = engine.clock.now()
    wanted = Claim(
        ref=hold.ref,
        attempt=hold.attempt,
        lease=hold.lease,
        session=session,
        worker=worker,
        at=now,
    )
    try:
        engine.jobs.claim_step(wanted)
    except TooEarlyError:
        raise
    except ConflictError:
        return None
    try:
        return _begin(engine, hold, now)
    except (NotFoundError, UnavailableError) as error:
        # Nobody knows of this attempt, so nobody would end it before the sweep finds it lost.
        with suppress(StroemError):
            fail(engine, hold, f"The step could not begin: {error.message}")
        raise


def complete(engine: Engine, hold: Hold, outcome: Outcome) -> None:
    """Accept the end of an attempt and go on with the job. A repeat by the same lease is harmless.

    Raises:
        FencedError: the lease does not hold the step: its worker must drop what it did.
    """
    if outcome.error is not None and not outcome.cancelled:
        fail(engine, hold, outcome.error, output=outcome.output)
        return
    end = _Ending(StepStatus.COMPLETED, outcome.error, outcome.output)
    if outcome.cancelled:
        job = engine.jobs.get(hold.ref.job_id)
        end = replace(end, status=StepStatus.CANCELLED, halted=job.status is JobStatus.CANCELLED)
    _end(engine, hold, end)
    settle(engine, hold.ref.job_id, since=hold.ref.step)


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
    state = engine.jobs.load(hold.ref.job_id)
    plan = engine.plan_of(state.job)
    policy = retry_policy(plan, plan.flow.steps[hold.ref.step])
    ended = _Ending(StepStatus.FAILED, error, output, by)
    stopped = replace(ended, status=StepStatus.CANCELLED, halted=True)
    if state.job.status is JobStatus.CANCELLED:
        _end(engine, hold, stopped)
    elif policy and attempts_left(policy, hold.attempt):
        record = state.steps.get(hold.ref.step)
        started_at = record.started_at if record else None
        try:
            _send_back(engine, hold, policy, error, started_at, by)
        except FencedError:
            raise
        except ConflictError:
            # The job was cancelled since it was read, and has halted this attempt.
            _end(engine, hold, stopped)
    else:
        _end(engine, hold, ended)
    settle(engine, hold.ref.job_id, since=hold.ref.step)


def retry_policy(plan: Plan, step: FlowStep) -> Retry | None:
    """Return the step's own policy, else its action's. Source: workflow language, section 1.2."""
    return step.retry or plan.definition.action_of(step).retry


def _begin(engine: Engine, hold: Hold, now: datetime) -> Assignment | None:
    """Read META after the claim, as `cancel` reads the steps after META, and render."""
    state = engine.jobs.load_steps(hold.ref.job_id, ())
    if state.job.status.is_terminal:
        _give_up(engine, hold)
        return None
    if state.job.status is JobStatus.PENDING:
        engine.jobs.start(hold.ref.job_id, now)
    return _assignment(engine, state, hold)


def _assignment(engine: Engine, state: JobState, hold: Hold) -> Assignment:
    plan = engine.plan_of(state.job)
    step = plan.flow.steps[hold.ref.step]
    read = steps_read(plan, step)
    if read:
        state = engine.jobs.load_steps(hold.ref.job_id, read)
    try:
        rendered = render_step(engine, plan, state, step)
    except TemplateError as error:
        fail(engine, hold, error.message)
        raise
    return Assignment(
        hold=hold,
        workspace=state.job.workspace,
        revision=state.job.revision,
        task=state.job.task,
        action=plan.definition.action_of(step),
        rendered=rendered,
        timeout_s=step.timeout_s or engine.limits.default_step_timeout_s,
    )


def _give_up(engine: Engine, hold: Hold) -> None:
    """End an attempt that was claimed after its job had ended: it never ran.

    The job may have waited for it with what its end leaves to do.
    """
    error = "Job ended before the step began"
    with suppress(FencedError):
        _end(engine, hold, _Ending(StepStatus.CANCELLED, error, halted=True))
    settle(engine, hold.ref.job_id, since=hold.ref.step)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an attempt ends. `halted`: because its job was cancelled."""

    status: StepStatus
    error: str | None = None
    output: JsonValue = None
    by: EndedBy = EndedBy.WORKER
    halted: bool = False


def _end(engine: Engine, hold: Hold, ending: _Ending) -> None:
    key = keys.output_blob(hold.ref.job_id, hold.ref.step, hold.attempt, hold.lease)
    engine.jobs.end_step(
        StepEnd(
            ref=hold.ref,
            attempt=hold.attempt,
            lease=hold.lease,
            nonce=hold.nonce(ending.by),
            status=ending.status,
            at=engine.clock.now(),
            error=_clipped(ending.error),
            output=store_payload(engine.blobs, key, ending.output),
            halted=ending.halted,
        )
    )


def _send_back(
    engine: Engine,
    hold: Hold,
    policy: Retry,
    error: str,
    started_at: datetime | None,
    by: EndedBy,
) -> None:
    now = engine.clock.now()
    engine.jobs.retry_step(
        StepRetry(
            ref=hold.ref,
            lease=hold.lease,
            nonce=hold.nonce(by),
            past=PastAttempt(
                attempt=hold.attempt,
                error=_clipped(error) or "",
                started_at=started_at,
                failed_at=now,
            ),
            retry_at=now + next_delay(policy, hold.attempt, engine.ids.draw()),
        )
    )


def _clipped(error: str | None) -> str | None:
    """Cut an error to 1 KB, keeping its beginning. The whole of it stands in the step's log."""
    if error is None or len(error.encode()) <= MAX_ERROR_BYTES:
        return error
    return error.encode()[: MAX_ERROR_BYTES - 4].decode(errors="ignore") + " …"
