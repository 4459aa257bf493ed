"""Approvals: what an answer may hold, what a step keeps of it, and how long it may come.

Source: workflow language, section 1.12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.errors import InvalidError, Violation
from chalicelib.domain.inputs import check_input
from chalicelib.domain.job import Job, StepRecord
from chalicelib.domain.logs import stamp
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Action, Definition, FlowStep

MAX_REASON_BYTES = 4096
LONGEST_LINK = timedelta(days=7)
REJECTED = "Approval rejected"
TIMED_OUT = "Approval timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody said to an approval. `input` is the form, `by` who it was, as far as known."""

    approved: bool
    by: str
    input: JsonObject = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerUrls:
    """Addresses at which whoever has them answers until `expires_at`; None without a key."""

    approve: str | None
    reject: str | None
    expires_at: datetime


def checked_form(action: Action, definition: Definition, given: JsonObject) -> JsonObject:
    """Return the form as it is kept: defaults filled in, secret values masked.

    Raises:
        InvalidError: with one violation for each field that is wrong.
    """
    try:
        return check_input(action.input, given, definition).shown
    except InvalidError as error:
        faults = tuple(Violation("/input" + v.pointer, v.message) for v in error.violations)
        listed = "; ".join(f"{v.pointer[1:]}: {v.message}" for v in error.violations)
        raise InvalidError(f"the answer does not fit the form: {listed}", faults) from None


def checked_reason(reason: str | None) -> str:
    """Return why an approval was rejected.

    Raises:
        InvalidError: it is over 4,096 bytes.
    """
    text = (reason or "").strip() or REJECTED
    size = len(text.encode())
    if size > MAX_REASON_BYTES:
        fault = f"has {size:,} bytes; the limit is {MAX_REASON_BYTES:,}"
        raise InvalidError(
            f"the reason {fault}: shorten it", (Violation("/rejection_reason", fault),)
        )
    return text


def output_of(message: str, answer: Answer, at: datetime) -> JsonObject:
    """Return the output of an answered step; `answer` was checked."""
    if answer.approved:
        return {
            "approval_message": message,
            "approved": True,
            "approved_by": answer.by,
            "approved_at": stamp(at),
            "input": answer.input,
        }
    return {
        "approval_message": message,
        "approved": False,
        "rejected_by": answer.by,
        "rejected_at": stamp(at),
        "rejection_reason": answer.reason,
    }


def answer_until(step: FlowStep, record: StepRecord, job: Job) -> datetime | None:
    """Return when an answer comes too late: after the step's timeout or its job's deadline."""
    ends = [job.deadline]
    if step.timeout_s is not None and record.suspended_at is not None:
        ends.append(record.suspended_at + timedelta(seconds=step.timeout_s))
    return min((end for end in ends if end is not None), default=None)
