"""What a refused claim or a lost lease means, and what a halt leaves behind: the rules that every
job store keeps alike.
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.domain.errors import ConflictError, FencedError, TooEarlyError
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Claim


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


def held(record: StepRecord | None, ref: StepRef, attempt: int, lease: str) -> StepRecord:
    """Return the record if the lease holds it.

    Raises:
        FencedError: it does not: another attempt, worker or the sweep was there.
    """
    if (
        record is None
        or record.status is not StepStatus.RUNNING
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
    """Return the record of a step that waited when its job was cancelled."""
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
