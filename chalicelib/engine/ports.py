"""What the engine needs from the world, one Protocol a collaborator.

Every conditional write carries a nonce. A refused write is answered by looking at the item: when
it shows the caller's own nonce, an earlier try arrived and its reply was lost, so the write counts
as done; otherwise the method raises. Reads are strongly consistent unless the method says
otherwise. Any method may raise UnavailableError: then the write may or may not have happened.
Source: protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from chalicelib.domain.job import AfterAction, Job, JobState, LoopGroup, Note, Slot, StepRecord
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord
from chalicelib.domain.workflow import Definition
from chalicelib.domain.workspace import Revision, WorkspaceRecord
from chalicelib.engine.moves import (
    Claim,
    JobEnd,
    JobFilter,
    Line,
    ListPosition,
    Message,
    Received,
    SeedRecords,
    StepBegin,
    StepEnd,
    StepRetry,
    Waiter,
)

__all__ = [
    "Blobs",
    "Claim",
    "Clock",
    "Definitions",
    "Ids",
    "JobEnd",
    "JobFilter",
    "JobStore",
    "Line",
    "Links",
    "ListPosition",
    "Message",
    "Queue",
    "Received",
    "Registry",
    "SeedRecords",
    "Slots",
    "StepBegin",
    "StepEnd",
    "StepRetry",
    "Waiter",
]


class JobStore(Protocol):
    """The table `jobs`: the truth about every job."""

    def create(self, job: Job) -> Job:
        """Write META if absent; return what stands there now, the given job or an earlier one."""

    def get(self, job_id: str) -> Job:
        """Return META. Raises NotFoundError."""

    def load(self, job_id: str) -> JobState:
        """Return META, step records, groups of loops and notes in one consistent query.

        Records of instances are not among them. Raises NotFoundError.
        """

    def load_steps(self, job_id: str, steps: Collection[str]) -> JobState:
        """Return META and the records of these steps or instances, of those that have one.

        All are found by their names in `steps`. Each is read consistently, but not all at one
        instant. Raises NotFoundError.
        """

    def load_instances(
        self, job_id: str, step: str, first: int, last: int
    ) -> Mapping[int, StepRecord]:
        """Return the records of a loop's instances `first` to `last`, of those that have one."""

    def begin_step(self, begin: StepBegin) -> StepRecord:
        """Write what was decided of a step that has no record, or is ready for this attempt.

        An end without a lease may be written of any that is ready; else only one that waits for
        its retry counts as ready.

        The history stays. Raises ConflictError when anything else stands there.
        """

    def claim_step(self, claim: Claim) -> StepRecord:
        """Make the attempt running under the claim's lease.

        Allowed when the record is absent and the attempt is 1, or when it is ready for exactly
        this attempt and `retry_at` is not in the future. Raises TooEarlyError when only that is
        missing, and ConflictError for anything else.
        """

    def end_step(self, end: StepEnd) -> StepRecord:
        """End the attempt that the lease holds, running or suspended. Raises FencedError."""

    def retry_step(self, retry: StepRetry) -> StepRecord:
        """Send the running attempt that the lease holds back to ready.

        Raises FencedError, and ConflictError when the attempt is halted: nothing follows it.
        """

    def hand_back(self, ref: StepRef, attempt: int, lease: str, nonce: str) -> StepRecord:
        """Make the running attempt that the lease holds ready again, as if never claimed.

        Raises FencedError, and ConflictError when the attempt is halted.
        """

    def told(self, ref: StepRef) -> None:
        """Note that the hooks of the step's suspension were fired. Safe to repeat."""

    def begin_group(self, job_id: str, step: str, group: LoopGroup) -> None:
        """Write a group of a loop if it is absent."""

    def mark_sent(self, job_id: str, step: str, below: int) -> int:
        """Raise the loop's mark of instances that were sent to `below`, unless it is higher.

        Return what it was: the caller that raised it sends those in between. Raises ConflictError
        when the loop does not run.
        """

    def leave_group(self, ref: StepRef, *, failed: bool) -> LoopGroup:
        """Take an instance that has ended out of its group's open ones; return the group.

        Safe to repeat. Raises ConflictError when there is no such group.
        """

    def halt_step(self, ref: StepRef, seen: StepRecord | None, at: datetime) -> None:
        """Keep the step of a cancelled job from going on from where `seen` shows it.

        One that runs is marked as halted; one that waits or is suspended (None: never touched)
        ends as cancelled, so that nothing begins it any more. A repeat is no error. Raises
        ConflictError when the step is not there any more.
        """

    def start(self, job_id: str, at: datetime) -> None:
        """Make a pending job running; leave any other alone."""

    def finish(self, job_id: str, end: JobEnd) -> Job:
        """End a job that has not ended; `due` stays. Raises ConflictError when it had ended."""

    def kill(self, job_id: str) -> None:
        """Mark a cancelled job as killed: its steps get no grace any more."""

    def admit(self, job_id: str, at: datetime) -> None:
        """Note that the job has all its slots. Leave an ended job alone. Safe to repeat."""

    def pause(self, job_id: str, *, paused: bool) -> Job:
        """Pause the job or let it go on. Safe to repeat. Raises ConflictError: it has ended."""

    def seed(self, job_id: str, records: SeedRecords) -> None:
        """Write the records where none stand, then note in META that they do. Safe to repeat."""

    def add_rerun(self, job_id: str, rerun: str) -> None:
        """Note on a job that another one runs it again. Safe to repeat; keeps the first 100."""

    def tell(self, job_id: str, note: Note) -> None:
        """Keep the note if none has its key."""

    def after_done(self, job_id: str, action: AfterAction) -> None:
        """Take one after-action off an ended job; with the last one, `due` goes.

        Safe to repeat.
        """

    def watch(self, job_id: str, until: datetime) -> None:
        """Note that somebody watches the job live until then; a later time that is noted stays.

        Safe to repeat. Raises NotFoundError.
        """

    def unwatch(self, job_id: str, until: datetime) -> None:
        """Take back that it is watched, if it is noted for exactly that time. Safe to repeat."""

    def pulse(self, job_id: str, at: datetime) -> None:
        """Let those who watch the job be told that something of it has changed; nothing else.

        Safe to repeat; of a job that is gone, nothing is kept.
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


class Slots(Protocol):
    """Places under a limit, by key. Lives in the table `jobs`, apart from any job."""

    def wait(self, key: str, waiter: Waiter) -> None:
        """Put the job in the line. Safe to repeat."""

    def take(self, slot: Slot, job_id: str) -> bool:
        """Give the job a place if there is one, or if it has one; say whether it has one now."""

    def leave_line(self, key: str, waiter: Waiter) -> None:
        """Take the job out of the line. Safe to repeat."""

    def give_back(self, key: str, job_id: str) -> None:
        """Take the job's place away. Safe to repeat."""

    def line(self, key: str, limit: int) -> Line:
        """Return all holders and the first `limit` waiters. Strongly consistent."""


class Registry(Protocol):
    """The table `registry`: workspaces, revisions, workers, pools."""

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

    def pools(self) -> frozenset[str]:
        """Return the pools that were added beside those of the installation."""

    def add_pool(self, pool: str) -> None:
        """Keep the pool's name, so that workers who fit it ask for its work. Safe to repeat."""

    def paused_tasks(self, workspace: str) -> frozenset[str]:
        """Return the tasks of a workspace whose triggers are paused."""

    def pause_task(self, workspace: str, task: str, *, paused: bool) -> None:
        """Pause all triggers of a task, or let them go on. Safe to repeat."""


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


class Queue(Protocol):
    """One standard queue per pool: at least once, in no order."""

    def send(
        self, pool: str, messages: Sequence[tuple[Message, int]], group: str | None = None
    ) -> None:
        """Send messages, each with its delay in seconds (0 to 900).

        The queue may see to it that no group's many messages make another's wait.
        """

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


class Links(Protocol):
    """Signed addresses that let whoever has them do one thing, until they expire."""

    def approval(
        self, ref: StepRef, attempt: int, *, approved: bool, expires_at: datetime
    ) -> str | None:
        """Return the address that answers an approval; None where no key or address is set up."""


class Definitions(Protocol):
    """Parsed definitions of workspace revisions: immutable, so kept in memory."""

    def load(self, workspace: str, revision: str) -> Definition:
        """Raises NotFoundError."""
