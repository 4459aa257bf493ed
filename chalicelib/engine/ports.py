"""What the engine needs from the world, one Protocol a collaborator.

Every conditional write carries a nonce. A refused write is answered by looking at the item: when
it shows the caller's own nonce, an earlier try arrived and its reply was lost, so the write counts
as done; otherwise the method raises. Reads are strongly consistent unless the method says
otherwise. Any method may raise UnavailableError: then the write may or may not have happened.
Source: protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.domain.job import AfterAction, Job, JobState, PastAttempt, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.logs import LogChunk
from chalicelib.domain.values import Payload, StepRef
from chalicelib.domain.worker import WorkerRecord
from chalicelib.domain.workflow import Definition
from chalicelib.domain.workspace import Revision, WorkspaceRecord


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
class StepEnd:
    """How a running attempt ended.

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
class JobFilter:
    """Which jobs a list shows; None and "" filter nothing.

    `search` is a case-insensitive substring of task, workspace, source id or job id.
    """

    workspaces: Sequence[str]
    task: str | None = None
    status: JobStatus | None = None
    source_type: SourceType | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A place in a list of jobs: the row that was shown last."""

    created_at: datetime
    job_id: str


class JobStore(Protocol):
    """The table `jobs`: the truth about every job."""

    def create(self, job: Job) -> Job:
        """Write META if absent; return what stands there now, the given job or an earlier one."""

    def get(self, job_id: str) -> Job:
        """Return META. Raises NotFoundError."""

    def load(self, job_id: str) -> JobState:
        """Return META and all step records in one consistent query. Raises NotFoundError."""

    def load_steps(self, job_id: str, steps: Collection[str]) -> JobState:
        """Return META and the records of these steps only, of those that have one.

        Each is read consistently, but not all at one instant. Raises NotFoundError.
        """

    def claim_step(self, claim: Claim) -> StepRecord:
        """Make the attempt running under the claim's lease.

        Allowed when the record is absent and the attempt is 1, or when it is ready for exactly
        this attempt and `retry_at` is not in the future. Raises TooEarlyError when only that is
        missing, and ConflictError for anything else.
        """

    def end_step(self, end: StepEnd) -> StepRecord:
        """End the running attempt that the lease holds. Raises FencedError."""

    def retry_step(self, retry: StepRetry) -> StepRecord:
        """Send the running attempt that the lease holds back to ready.

        Raises FencedError, and ConflictError when the attempt is halted: nothing follows it.
        """

    def halt_step(self, ref: StepRef, seen: StepRecord | None, at: datetime) -> None:
        """Keep the step of a cancelled job from going on from where `seen` shows it.

        One that runs is marked as halted; one that waits (None: never touched) ends as cancelled,
        so that no message begins it any more. A repeat is no error. Raises ConflictError when the
        step is not there any more.
        """

    def start(self, job_id: str, at: datetime) -> None:
        """Make a pending job running; leave any other alone."""

    def finish(
        self,
        job_id: str,
        status: JobStatus,
        at: datetime,
        nonce: str,
        after: frozenset[AfterAction],
    ) -> Job:
        """End a job that has not ended; `due` stays. Raises ConflictError when it had ended."""

    def after_done(self, job_id: str, action: AfterAction) -> None:
        """Take one after-action off an ended job; with the last one, `due` goes.

        Safe to repeat.
        """

    def postpone(self, job_id: str, due: datetime, looks: int) -> None:
        """Set when the sweep looks next, if the job still has a `due`.

        Leave it alone otherwise.
        """

    def due(self, now: datetime, limit: int) -> list[str]:
        """Return ids of jobs whose `due` has passed, oldest first. Eventually consistent."""

    def page(self, wanted: JobFilter, after: ListPosition | None, limit: int) -> list[Job]:
        """Return up to `limit` jobs behind the position, newest first. Eventually consistent.

        The jobs carry list fields only: no input, no due.
        """

    def tally(self, wanted: JobFilter) -> Mapping[JobStatus, int]:
        """Count the newest 10,000 jobs of each workspace by status. Eventually consistent."""


class Registry(Protocol):
    """The table `registry`: workspaces, revisions, workers."""

    def workspace(self, name: str) -> WorkspaceRecord:
        """Raises NotFoundError."""

    def workspaces(self) -> list[WorkspaceRecord]:
        """Return all, by name."""

    def put_workspace(self, record: WorkspaceRecord, expected: WorkspaceRecord | None) -> None:
        """Replace `expected` (None: must be absent) by `record`. Raises ConflictError."""

    def revision(self, workspace: str, revision: str) -> Revision:
        """Raises NotFoundError."""

    def put_revision(self, revision: Revision) -> None:
        """Write it if absent: revisions are immutable."""

    def worker(self, worker_id: str) -> WorkerRecord:
        """Raises NotFoundError."""

    def workers(self) -> list[WorkerRecord]:
        """Return all that are kept, newest registration first."""

    def put_worker(self, record: WorkerRecord) -> None:
        """Write a new session's record."""

    def heartbeat(
        self, worker_id: str, at: datetime, running: Sequence[StepRef] | None
    ) -> WorkerRecord:
        """Note that the session lives, make it active again, and return it.

        `running` None: it does not say what it runs. Raises NotFoundError.
        """

    def worker_silent(self, record: WorkerRecord) -> bool:
        """Make the session inactive unless a heartbeat came since; say whether it was done."""

    def worker_gone(self, worker_id: str, at: datetime) -> None:
        """Note that the session ended by itself: it holds nothing any more."""


class LogStore(Protocol):
    """The table `logs`: chunks of lines."""

    def append(self, chunk: LogChunk, expires_at: datetime) -> None:
        """Write the chunk if absent: a repeat changes nothing."""

    def chunks(self, job_id: str, step: str | None = None) -> list[LogChunk]:
        """Return the chunks of a job or of one step, by step, attempt and first line."""


class Blobs(Protocol):
    """The object store. Keys come from the caller; see `domain.keys`."""

    def put(self, key: str, content: bytes) -> None:
        """Write or replace the object."""

    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        """Write the parts as one object without holding them all in memory; return its size."""

    def get(self, key: str) -> bytes:
        """Raises NotFoundError."""

    def exists(self, key: str) -> bool:
        """Say whether there is such an object."""

    def delete(self, key: str) -> None:
        """Remove the object; an absent one is no error."""

    def upload_url(self, key: str, expires_s: int) -> str:
        """Return a URL that accepts a PUT of this object until it expires."""

    def download_url(self, key: str, expires_s: int) -> str:
        """Return a URL that answers a GET of this object until it expires."""


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


class Queue(Protocol):
    """One standard queue per pool: at least once, in no order."""

    def send(self, pool: str, messages: Sequence[tuple[Message, int]]) -> None:
        """Send messages, each with its delay in seconds (0 to 900)."""

    def receive(self, pool: str, wait_s: float, limit: int) -> list[Received]:
        """Return up to `limit` (1 to 10) messages, waiting `wait_s` (0 to 20) for the first."""

    def delete(self, received: Received) -> None:
        """Take the message off the queue; a repeat is no error."""


class Clock(Protocol):
    """Time, in UTC."""

    def now(self) -> datetime:
        """Return the present instant, aware."""


class Ids(Protocol):
    """What must be new or random."""

    def job_id(self) -> str:
        """Return a UUIDv7: time-ordered."""

    def nonce(self) -> str:
        """Return a value that nobody else has or guesses."""

    def draw(self) -> float:
        """Return a number from 0 up to 1, for jitter."""


class Definitions(Protocol):
    """Parsed definitions of workspace revisions: immutable, so kept in memory."""

    def load(self, workspace: str, revision: str) -> Definition:
        """Raises NotFoundError."""
