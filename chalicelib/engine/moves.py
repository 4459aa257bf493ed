"""What the engine writes, waits for and sends: the values that its ports take and give.

The one rule: each is a wish in words of the domain; what must hold for it stands at the port.
Source: protocol, "Moves".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.job import AfterAction, Job, LoopGroup, LoopRun, PastAttempt, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.values import NO_PAYLOAD, Payload, StepRef
from chalicelib.domain.workflow import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's wish to run one attempt. `lease` is the nonce of this claim."""

    ref: StepRef
    attempt: int
    lease: str
    session: str
    worker: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegin:
    """What the engine decided of a step, or of an instance of a loop, when its turn came.

    `status` is `READY` for a worker to claim, `RUNNING` for a loop or a sub-job, `SUSPENDED` for
    an approval, `SKIPPED` or `FAILED` when that ended it. `lease` is what holds it from then on.
    """

    ref: StepRef
    attempt: int
    nonce: str
    status: StepStatus
    at: datetime
    lease: str | None = None
    error: str | None = None
    output: Payload = NO_PAYLOAD
    loop: LoopRun | None = None
    child: str | None = None
    tell: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """How an attempt that runs or is suspended ended.

    `lease` must be the one that holds the step; `status` is terminal. `halted`: it ends because
    the job was cancelled.
    """

    ref: StepRef
    attempt: int
    lease: str
    nonce: str
    status: StepStatus
    at: datetime
    error: str | None = None
    output: Payload
    halted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetry:
    """A failed attempt that another follows: attempt `past.attempt + 1` waits for `retry_at`."""

    ref: StepRef
    lease: str
    nonce: str
    past: PastAttempt
    retry_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a job ends. `retry_job` is the job that tries the task again."""

    status: JobStatus
    at: datetime
    nonce: str
    after: frozenset[AfterAction]
    reason: str | None = None
    retry_job: str | None = None
    killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRecords:
    """What a re-run takes over.

    Records of steps that have ended, or are loops, and of instances (`name[i]`) that have ended;
    and the groups of each loop.
    """

    steps: tuple[StepRecord, ...]
    instances: tuple[StepRecord, ...] = ()
    loops: Mapping[str, tuple[LoopGroup, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows; None and "" filter nothing.

    `search` is a case-insensitive substring of task, workspace, source id or job id. `sees` says
    of a job whether whoever asks may know of it; it gets list fields only.
    """

    workspaces: Sequence[str]
    task: str | None = None
    status: JobStatus | None = None
    source_type: SourceType | None = None
    search: str = ""
    sees: Callable[[Job], bool] | None = None


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A place in a list of jobs: the row that was shown last."""

    created_at: datetime
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """A job that waits for a slot. Lines are ordered by priority, then by time, then by id."""

    job_id: str
    priority: Priority
    since: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """Who has a slot, and who waits for one, first in line first."""

    holders: frozenset[str]
    waiters: tuple[Waiter, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A ready step, as it travels: no truth, only a hint that a claim may succeed."""

    ref: StepRef
    attempt: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message in flight, with the receipt that deletes it."""

    message: Message
    pool: str
    receipt: str
