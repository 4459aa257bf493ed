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
from chalicelib.domain.values import NO_PAYLOAD, BlobRef, Payload, StepRef
from chalicelib.domain.workflow import OnLimit, Priority

SECRET_MASK = "********"  # noqa: S105 - what stands in a secret's place, not a secret
MAX_DEPTH = 10


class AfterAction(StrEnum):
    """Work that a job's end leaves to do, in this order.

    Each is idempotent, and `due` stays until all are done.
    """

    STOP_STEPS = "stop_steps"
    RELEASE = "release"
    RETRY = "retry"
    PARENT = "parent"
    HOOKS = "hooks"
    NOTIFY = "notify"
    ARCHIVE_LOG = "archive_log"


@dataclass(frozen=True, slots=True)
class Parent:
    """The attempt of a step that a sub-job stands for; the sub-job's id is its lease."""

    ref: StepRef
    attempt: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One of `limit` places that a job must have before its first step may begin.

    `key` names what is limited, such as one task of a workspace.
    """

    key: str
    limit: int
    on_limit: OnLimit = OnLimit.QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One execution of a task.

    `input` holds what was given and every default that is no template, with secret values masked;
    `secret_input` refers to those values, which stand in the blob store only.
    `due` is when the sweep must look next, None when nothing is left to do; `looks` counts its
    looks.
    `request_hash` tells a repeat of an idempotent request from another body under the same key.
    `start_at` and `deadline`: no step begins before the one or goes on after the other.
    `from_hook`: a hook made it, or made one of its parents; so it fires none itself.
    `slots` are the places that it needs, `admitted` says that it has them all.
    `seed` says which records a re-run takes over from `source_job`; nothing begins before they
    stand (`is_seeded`).
    `reason` says why it ended, where its steps do not.
    `pins` are the revisions of other workspaces whose actions it uses, by name.
    `watched_until`: until then somebody is taken to watch it live; `pulse` is when its watchers
    were last to be told that something of it has changed.
    `retry_of` is the first job of a chain of tries, `retry_job` the next one after this.
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
    start_at: datetime | None = None
    deadline: datetime | None = None
    priority: Priority = Priority.NORMAL
    parent: Parent | None = None
    depth: int = 0
    from_hook: bool = False
    slots: tuple[Slot, ...] = ()
    admitted: bool = False
    paused: bool = False
    killed: bool = False
    reason: str | None = None
    retry_of: str | None = None
    retry_job: str | None = None
    retry_attempt: int = 0
    source_job: str | None = None
    restart_from: str | None = None
    seed: BlobRef | None = None
    is_seeded: bool = False
    reruns: frozenset[str] = frozenset()
    pins: tuple[tuple[str, str], ...] = ()
    watched_until: datetime | None = None
    pulse: datetime | None = None

    def is_watched(self, now: datetime) -> bool:
        """Say whether somebody watches the job live."""
        return self.watched_until is not None and now < self.watched_until

    @property
    def may_begin(self) -> bool:
        """Say whether steps may be begun, as far as the job itself decides it."""
        is_prepared = (self.admitted or not self.slots) and (self.is_seeded or self.seed is None)
        return is_prepared and not self.paused and not self.status.is_terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """One attempt that failed and was tried again. `child` was its sub-job, if it had one."""

    attempt: int
    error: str
    started_at: datetime | None
    failed_at: datetime
    child: str | None = None


@dataclass(frozen=True, slots=True)
class LoopRun:
    """What a loop's `for_each` gave, once and for all: how many items, and the list of them.

    `sent` is the index below which all instances were sent to workers once.
    """

    total: int
    items: Payload
    sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What is kept of one step, or of one instance `name[i]` of a loop, from its first touch on.

    `status` is never `PENDING`. `READY` means that attempt `attempt` may be claimed: from
    `retry_at` on, if there is one.
    `lease` is the nonce of the claim that holds the step: whoever completes it must show it. What
    the engine runs itself has one too: a sub-job's id, or that of the write that began it.
    `nonce` is that of the last write, by which a writer whose reply was lost recognises its own
    work.
    `halted` means that the job's cancellation reached the step before its end: what waits behind
    it is cancelled with the job, however the step itself ends.
    `tell` means that the hooks of its suspension are still to be fired.
    """

    step: str
    status: StepStatus
    attempt: int
    nonce: str
    lease: str | None = None
    session: str | None = None
    worker: str | None = None
    ready_at: datetime | None = None
    started_at: datetime | None = None
    suspended_at: datetime | None = None
    completed_at: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None
    output: Payload = NO_PAYLOAD
    history: tuple[PastAttempt, ...] = ()
    halted: bool = False
    loop: LoopRun | None = None
    child: str | None = None
    tell: bool = False


@dataclass(frozen=True, slots=True)
class LoopGroup:
    """Up to 64 neighbouring instances of a loop: those that have not ended, those that failed.

    Group `number` holds the instances from `number * 64` on. A group without an item was never
    begun.
    """

    number: int
    open: frozenset[int]
    failed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the engine says about a job once; `key` keeps it from being said twice."""

    key: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class JobState:
    """A job with the records of all its touched steps, as one consistent read saw them.

    `loops` has the groups of each loop by number. `instances` has records of instances where a
    caller asked for them; a plain load leaves it empty.
    """

    job: Job
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    loops: Mapping[str, Mapping[int, LoopGroup]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    instances: Mapping[str, Mapping[int, StepRecord]] = field(default_factory=dict)
