"""Write a new job's META: from then on the job exists, and the sweep sees that it ends.

The one rule: an id that stands for something makes at most one job, however often it is asked for.
Source: protocol, "Moves"; decision 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

from chalicelib.domain import keys
from chalicelib.domain.due import first_due
from chalicelib.domain.hooks import HookEvent, hooks_of
from chalicelib.domain.inputs import CheckedInput
from chalicelib.domain.job import AfterAction, Job, Parent, Slot
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.live import WATCHED_FOR
from chalicelib.domain.notify import told_of
from chalicelib.domain.values import BlobRef
from chalicelib.domain.workflow import Definition, Priority, Task
from chalicelib.engine.concurrency import slots_of
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import encode, store_blob, store_payload

_JOB_NAMESPACE = UUID("6f1c5e3a-0c1e-5d0b-9a5b-7b7a5f1d2c11")


def derived_id(*parts: str) -> str:
    """Return the job id that stands for these words: the same ones give the same id."""
    return str(uuid5(_JOB_NAMESPACE, "\n".join(parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a job is made of; see `Job` for the fields. `input` was checked.

    `slots` are places that it must have before those that its task and its workspace ask for.
    `watched`: somebody is about to watch it live.
    """

    job_id: str
    workspace: str
    revision: str
    definition: Definition
    task: Task
    input: CheckedInput
    source_type: SourceType
    source_id: str | None = None
    request_hash: str | None = None
    start_at: datetime | None = None
    priority: Priority | None = None
    parent: Parent | None = None
    depth: int = 0
    from_hook: bool = False
    retry_of: str | None = None
    retry_attempt: int = 0
    source_job: str | None = None
    restart_from: str | None = None
    seed: BlobRef | None = None
    slots: tuple[Slot, ...] = ()
    pins: tuple[tuple[str, str], ...] = ()
    skip_limits: bool = field(default=False)
    watched: bool = False


def make(engine: Engine, new: NewJob) -> tuple[Job, bool]:
    """Write META if the id has none; return what stands there, and whether it is this job.

    Its steps are not begun: have it looked at (`Agenda.look`, `advance`).
    """
    wanted = _job(engine, new)
    stands = engine.jobs.create(wanted)
    return stands, stands.nonce == wanted.nonce


def tombstone(engine: Engine, new: NewJob, reason: str) -> Job:
    """Keep the id from being used: write a job that was cancelled before it began.

    Return what stands there now, the given job or one that was made before. What its end leaves to
    do is not done: have it looked at.
    """
    made = _job(engine, new)
    fires = hooks_of(new.definition, new.task, made, HookEvent.CANCEL)
    tells = told_of(new.definition, new.task, made, JobStatus.CANCELLED)
    wanted = {
        AfterAction.STOP_STEPS: True,
        AfterAction.PARENT: made.parent is not None,
        AfterAction.HOOKS: bool(fires),
        AfterAction.NOTIFY: bool(tells),
        AfterAction.ARCHIVE_LOG: True,
    }
    ended = replace(
        made,
        status=JobStatus.CANCELLED,
        completed_at=made.created_at,
        reason=reason,
        after=frozenset(action for action, is_wanted in wanted.items() if is_wanted),
    )
    return engine.jobs.create(ended)


def _job(engine: Engine, new: NewJob) -> Job:
    now = engine.clock.now()
    given = new.input
    digest = sha256(encode([given.shown, given.secret])).hexdigest()[:16]
    secret_input = None
    if given.secret:
        key = keys.secret_input_blob(new.workspace, new.job_id, digest)
        secret_input = store_blob(engine.blobs, key, encode(given.secret))
    input_key = keys.input_blob(new.workspace, new.job_id, digest)
    timeout_s = new.task.timeout_s or engine.limits.default_job_timeout_s
    slots = slots_of(engine, new.workspace, new.task, given.shown, new.source_type)
    return Job(
        job_id=new.job_id,
        workspace=new.workspace,
        task=new.task.key,
        revision=new.revision,
        status=JobStatus.PENDING,
        source_type=new.source_type,
        source_id=new.source_id,
        created_at=now,
        input=store_payload(engine.blobs, input_key, given.shown),
        secret_input=secret_input,
        request_hash=new.request_hash,
        # No queue brings what the engine begins itself: the sweep has to.
        due=first_due(now, [new.start_at] if new.start_at else []),
        nonce=engine.ids.nonce(),
        start_at=new.start_at,
        deadline=(new.start_at or now) + timedelta(seconds=timeout_s) if timeout_s else None,
        priority=new.priority or new.task.priority,
        parent=new.parent,
        depth=new.depth,
        from_hook=new.from_hook,
        slots=() if new.skip_limits else (*new.slots, *slots),
        retry_of=new.retry_of,
        retry_attempt=new.retry_attempt,
        source_job=new.source_job,
        restart_from=new.restart_from,
        seed=new.seed,
        pins=new.pins,
        watched_until=now + WATCHED_FOR if new.watched else None,
    )
