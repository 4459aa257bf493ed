"""What is kept of a job: its META item, the records of touched steps, what its end leaves to do.

A step without a record was never touched: its status follows from the flow (`plan.derive`).
Source: protocol, items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.values import NO_PAYLOAD, BlobRef, Payload

SECRET_MASK = "********"  # noqa: S105 - what stands in a secret's place, not a secret


class AfterAction(StrEnum):
    """Work that a job's end leaves to do.

    Each is idempotent, and `due` stays until all are done.
    """

    STOP_STEPS = "stop_steps"
    ARCHIVE_LOG = "archive_log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One execution of a task.

    `input` holds what was given and every default that is no template, with secret values masked;
    `secret_input` refers to those values, which stand in the blob store only.
    `due` is when the sweep must look next, None when nothing is left to do; `looks` counts its
    looks.
    `request_hash` tells a repeat of an idempotent request from another body under the same key.
    """

    job_id: str
    workspace: str
    task: str
    revision: str
    status: JobStatus
    source_type: SourceType
    created_at: datetime
    source_id: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    input: Payload = NO_PAYLOAD
    secret_input: BlobRef | None = None
    request_hash: str | None = None
    due: datetime | None = None
    looks: int = 0
    after: frozenset[AfterAction] = frozenset()
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """One attempt that failed and was tried again."""

    attempt: int
    error: str
    started_at: datetime | None
    failed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What is kept of one step from its first claim on.

    `status` is never `PENDING` or `SKIPPED`; `READY` means that attempt `attempt` waits for
    `retry_at`.
    `lease` is the nonce of the claim that holds the step: whoever completes it must show it.
    `nonce` is that of the last write, by which a writer whose reply was lost recognises its own
    work.
    `halted` means that the job's cancellation reached the step before its end: what waits behind
    it is cancelled with the job, however the step itself ends.
    """

    step: str
    status: StepStatus
    attempt: int
    nonce: str
    lease: str | None = None
    session: str | None = None
    worker: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None
    output: Payload = NO_PAYLOAD
    history: tuple[PastAttempt, ...] = ()
    halted: bool = False


@dataclass(frozen=True, slots=True)
class JobState:
    """A job with the records of all its touched steps, as one consistent read saw them."""

    job: Job
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
