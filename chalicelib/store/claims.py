"""What a refused write or a lost lease means, and what a move leaves behind: the rules that every
job store keeps alike.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.errors import ConflictError, FencedError, TooEarlyError
from chalicelib.domain.job import Job, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Claim, StepBegin, StepRetry

MOST_RERUNS = 100
HOLDABLE = (StepStatus.RUNNING, StepStatus.SUSPENDED)


def refuse_claim(claim: Claim, record: StepRecord | None) -> None:
    """Raise unless the claim is allowed on what stands there.

    Raises:
        TooEarlyError: only the time of the retry has not come.
        ConflictError: the attempt is held, has ended, or is not the next.
    """
    step = f"step {claim.ref.step!r} of job {claim.ref.job_id}"
    if record is None:
        if claim.attempt != 1:
            raise ConflictError(f"{step} has not begun, so attempt {claim.attempt} is not next")
        return
    if record.status is not StepStatus.READY or record.attempt != claim.attempt:
        raise ConflictError(
            f"{step} is {record.status} at attempt {record.attempt}: "
            f"attempt {claim.attempt} is not to be had"
        )
    if record.retry_at is not None and record.retry_at > claim.at:
        raise TooEarlyError(f"{step} waits for its retry at {record.retry_at.isoformat()}")


def refuse_begin(begin: StepBegin, record: StepRecord | None) -> None:
    """Raise unless the step's turn has come and nothing was decided yet.

    Raises:
        ConflictError: something else stands there.
    """
    if record is None:
        if begin.attempt == 1:
            return
        now = "has not begun"
    elif record.status is StepStatus.READY and record.attempt == begin.attempt:
        if record.retry_at or ends_unheld(begin):
            return
        now = f"is ready at attempt {record.attempt}"
    else:
        now = f"is {record.status} at attempt {record.attempt}"
    raise ConflictError(
        f"step {begin.ref.step!r} of job {begin.ref.job_id} {now}: "
        f"attempt {begin.attempt} is not to be begun"
    )


def ends_unheld(begin: StepBegin) -> bool:
    """Say whether it ends a step that waits and that nobody holds, whatever was decided of it."""
    return begin.lease is None and begin.status.is_terminal


def begun(begin: StepBegin, record: StepRecord | None) -> StepRecord:
    """Return the record that stands after the engine decided on a step."""
    runs = begin.status is StepStatus.RUNNING
    return StepRecord(
        step=begin.ref.step,
        status=begin.status,
        attempt=begin.attempt,
        nonce=begin.nonce,
        lease=begin.lease,
        ready_at=begin.at if begin.status is StepStatus.READY else None,
        started_at=begin.at if runs or begin.status is StepStatus.SUSPENDED else None,
        suspended_at=begin.at if begin.status is StepStatus.SUSPENDED else None,
        completed_at=begin.at if begin.status.is_terminal else None,
        error=begin.error,
        output=begin.output,
        history=record.history if record else (),
        loop=begin.loop,
        child=begin.child,
        tell=begin.tell,
    )


def claimed(claim: Claim, record: StepRecord | None) -> StepRecord:
    """Return the record of an attempt that runs under the claim's lease."""
    return StepRecord(
        step=claim.ref.step,
        status=StepStatus.RUNNING,
        attempt=claim.attempt,
        nonce=claim.lease,
        lease=claim.lease,
        session=claim.session,
        worker=claim.worker,
        started_at=claim.at,
        history=record.history if record else (),
    )


def sent_back(retry: StepRetry, record: StepRecord | None) -> StepRecord:
    """Return the record of the attempt that follows a failed one, and waits for its time."""
    return StepRecord(
        step=retry.ref.step,
        status=StepStatus.READY,
        attempt=retry.past.attempt + 1,
        nonce=retry.nonce,
        retry_at=retry.retry_at,
        history=(*(record.history if record else ()), retry.past),
    )


def handed_back(record: StepRecord, nonce: str) -> StepRecord:
    """Return the record of an attempt that was claimed and did not begin."""
    return replace(
        record,
        status=StepStatus.READY,
        nonce=nonce,
        lease=None,
        session=None,
        worker=None,
        started_at=None,
    )


def held(
    record: StepRecord | None,
    ref: StepRef,
    attempt: int,
    lease: str,
    only: StepStatus | None = None,
) -> StepRecord:
    """Return the record if the lease holds it, and with `only`, in that status.

    Raises:
        FencedError: it does not: another attempt, worker or the sweep was there.
    """
    if (
        record is None
        or record.status not in ((only,) if only else HOLDABLE)
        or record.attempt != attempt
        or record.lease != lease
    ):
        now = f"{record.status} at attempt {record.attempt}" if record else "not begun"
        raise FencedError(
            f"step {ref.step!r} of job {ref.job_id} is {now}: "
            f"this lease of attempt {attempt} does not hold it"
        )
    return record


def halted(ref: StepRef) -> ConflictError:
    """Return the error that refuses to send a halted attempt back."""
    return ConflictError(
        f"step {ref.step!r} of job {ref.job_id} is halted: its job was cancelled, "
        "so no attempt follows this one"
    )


def moved_on(ref: StepRef) -> ConflictError:
    """Return the error that refuses to halt a step which stands elsewhere by now."""
    return ConflictError(f"step {ref.step!r} of job {ref.job_id} went on in the meantime")


def never_begins(step: str, seen: StepRecord | None, at: datetime) -> StepRecord:
    """Return the record of a step that waited, or was suspended, when its job was cancelled."""
    if seen is not None and seen.status is StepStatus.SUSPENDED:
        return replace(
            seen,
            status=StepStatus.CANCELLED,
            nonce="halted",
            completed_at=at,
            error="Job cancelled before the step was answered",
            halted=True,
            tell=False,
        )
    return StepRecord(
        step=step,
        status=StepStatus.CANCELLED,
        attempt=seen.attempt if seen else 1,
        nonce="halted",
        completed_at=at,
        error="Job cancelled before the step began",
        history=seen.history if seen else (),
        halted=True,
    )


def has_ended(job: Job) -> ConflictError:
    """Return the error that refuses to change a job which has ended."""
    return ConflictError(f"job {job.job_id} has ended already: it is {job.status}")


def no_group(ref: StepRef) -> ConflictError:
    """Return the error that refuses an instance of a loop that was never begun."""
    return ConflictError(f"step {ref.step!r} of job {ref.job_id} is no instance of a begun loop")


def no_loop(ref: StepRef) -> ConflictError:
    """Return the error that refuses to go on with a loop that does not run."""
    return ConflictError(f"step {ref.step!r} of job {ref.job_id} is no loop that runs")
