"""End an attempt of a step, or send it back for another: whoever ran it, a worker or the engine.

The one rule: one conditional write under the attempt's lease decides; what follows from it is the
caller's. Source: protocol, "Moves"; state machines, section 3.10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.domain import keys
from chalicelib.domain.due import next_due
from chalicelib.domain.errors import ConflictError, FencedError
from chalicelib.domain.job import JobState, PastAttempt, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import flow_key
from chalicelib.domain.retry import attempts_left, next_delay
from chalicelib.domain.values import JsonValue, StepRef
from chalicelib.domain.workflow import ActionType, FlowStep, Retry
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import store_payload
from chalicelib.engine.ports import StepEnd, StepRetry

MAX_ERROR_BYTES = 1024


class EndedBy(StrEnum):
    """Who ends an attempt.

    It is part of the write's nonce: nobody takes another's end for its own.
    """

    WORKER = "worker"
    SWEEP = "sweep"
    CHILD = "child"


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


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends. `halted`: because its job was cancelled."""

    status: StepStatus
    error: str | None = None
    output: JsonValue = None
    by: EndedBy = EndedBy.WORKER
    halted: bool = False


def end_attempt(engine: Engine, hold: Hold, wanted: Ending) -> StepRecord:
    """Write the end of an attempt; a repeat by the same one is harmless.

    Raises:
        FencedError: the lease does not hold the step.
    """
    key = keys.output_blob(hold.ref.job_id, hold.ref.step, hold.attempt, hold.lease)
    return engine.jobs.end_step(
        StepEnd(
            ref=hold.ref,
            attempt=hold.attempt,
            lease=hold.lease,
            nonce=hold.nonce(wanted.by),
            status=wanted.status,
            at=engine.clock.now(),
            error=clipped(wanted.error),
            output=store_payload(engine.blobs, key, wanted.output),
            halted=wanted.halted,
        )
    )


def accept_end(engine: Engine, hold: Hold, wanted: Ending) -> StepRecord:
    """Write the end that a worker reports, the first that it reports of the attempt.

    Raises:
        FencedError: the lease does not hold the step, or was told of with another end before: what
            followed from that stands.
    """
    record = end_attempt(engine, hold, wanted)
    if record.status is not wanted.status:
        raise FencedError(
            f"step {hold.ref.step!r} of job {hold.ref.job_id}: attempt {hold.attempt} was "
            f"reported with another end before, and the step is {record.status}: drop this report"
        )
    return record


def end_failed(
    engine: Engine, plan: Plan, state: JobState, hold: Hold, failure: Ending
) -> StepRecord:
    """End an attempt as failed, or send it back where its policy allows another.

    In a cancelled job it ends as cancelled, and is never tried again. What is sent back, the
    caller puts in a queue, unless the engine runs it: then the job is looked at in time.

    Raises:
        FencedError: the lease does not hold the step.
    """
    step = plan.flow.steps[flow_key(hold.ref.step)]
    policy = retry_policy(plan, step)
    stopped = replace(failure, status=StepStatus.CANCELLED, halted=True)
    if state.job.status is JobStatus.CANCELLED:
        return end_attempt(engine, hold, stopped)
    if policy is None or not attempts_left(policy, hold.attempt):
        return end_attempt(engine, hold, failure)
    try:
        record = _send_back(engine, hold, policy, failure, state.steps.get(hold.ref.step))
    except FencedError:
        raise
    except ConflictError:
        # The job was cancelled since it was read, and has halted this attempt.
        return end_attempt(engine, hold, stopped)
    if step.key in plan.flow.by_engine and record.retry_at is not None:
        # No queue brings it back: the sweep has to.
        due = next_due(engine.clock.now(), 1, (record.retry_at,))
        engine.jobs.postpone(state.job.job_id, due, state.job.looks)
    return record


def retry_policy(plan: Plan, step: FlowStep) -> Retry | None:
    """Return the step's own policy, else its action's; nobody is asked for an approval twice.

    Source: workflow language, section 1.2; state machines, section 3.10.
    """
    action = plan.definition.action_of(step)
    return None if action.type is ActionType.APPROVAL else step.retry or action.retry


def clipped(error: str | None) -> str | None:
    """Cut an error to 1 KB, keeping its beginning. The whole of it stands in the step's log."""
    if error is None or len(error.encode()) <= MAX_ERROR_BYTES:
        return error
    return error.encode()[: MAX_ERROR_BYTES - 4].decode(errors="ignore") + " …"


def _send_back(
    engine: Engine, hold: Hold, policy: Retry, failure: Ending, seen: StepRecord | None
) -> StepRecord:
    now = engine.clock.now()
    return engine.jobs.retry_step(
        StepRetry(
            ref=hold.ref,
            lease=hold.lease,
            nonce=hold.nonce(failure.by),
            past=PastAttempt(
                attempt=hold.attempt,
                error=clipped(failure.error) or "",
                started_at=seen.started_at if seen else None,
                failed_at=now,
                child=seen.child if seen else None,
            ),
            retry_at=now + next_delay(policy, hold.attempt, engine.ids.draw()),
        )
    )
