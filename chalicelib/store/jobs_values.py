"""Items of the table `jobs` to the domain and back: META, records, groups of loops, notes.

One rule: what was put in comes out equal; a default is an absent attribute.
Source: protocol, items.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import AfterAction, Job, JobState, LoopGroup, LoopRun, Note, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.logs import stamp
from chalicelib.domain.loops import instance_name, instance_of
from chalicelib.domain.values import NO_PAYLOAD, Payload, StepRef
from chalicelib.domain.workflow import Priority
from chalicelib.store.attributes import dump_past, load_past, parsed
from chalicelib.store.dynamo import VERSION
from chalicelib.store.jobs_items import JobItem
from chalicelib.store.lists import in_order


def place_of(ref: StepRef) -> tuple[str, str]:
    """Return where the record of a step, or of an instance of a loop, stands."""
    instance = instance_of(ref.step)
    if instance is None:
        return keys.job_pk(ref.job_id), keys.step_sk(ref.step)
    return keys.instances_pk(ref.job_id, instance.step), keys.instance_sk(instance.index)


def meta_values(job: Job) -> dict[str, Any]:
    """Return the attributes of a job's META item."""
    given = {
        "pk": keys.job_pk(job.job_id),
        "sk": keys.META,
        "list_pk": job.workspace,
        "list_sk": keys.list_sk(stamp(job.created_at), job.job_id),
        "status": job.status.value,
        "task": job.task,
        "revision": job.revision,
        "source_type": job.source_type.value,
        "source_id": job.source_id,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "input": _kept(job.input),
        "secret_input": job.secret_input,
        "request_hash": job.request_hash,
        "due_pk": keys.due_pk(job.job_id) if job.due else None,
        "due_sk": stamp(job.due) if job.due else None,
        "looks": job.looks or None,
        "after": set(job.after) or None,
        "nonce": job.nonce or None,
        **_relations(job),
        **_conditions(job),
    }
    return {name: value for name, value in given.items() if value is not None}


def _relations(job: Job) -> dict[str, Any]:
    """Return what the job has to do with other jobs."""
    return {
        "parent": job.parent,
        "depth": job.depth or None,
        "from_hook": job.from_hook or None,
        "retry_of": job.retry_of,
        "retry_job": job.retry_job,
        "retry_attempt": job.retry_attempt or None,
        "source_job": job.source_job,
        "restart_from": job.restart_from,
        "reruns": set(job.reruns) or None,
        "pins": job.pins or None,
    }


def _conditions(job: Job) -> dict[str, Any]:
    """Return what the job's going on depends on."""
    return {
        "start_at": job.start_at,
        "deadline": job.deadline,
        "priority": None if job.priority is Priority.NORMAL else job.priority.value,
        "slots": job.slots or None,
        "admitted": job.admitted or None,
        "paused": job.paused or None,
        "killed": job.killed or None,
        "reason": job.reason,
        "seed": job.seed,
        "is_seeded": job.is_seeded or None,
        "watched_until": job.watched_until,
    }


def job_of(item: JobItem) -> Job:
    """Return the job whose META, or row of the `list` index, the item is."""
    return replace(
        _alone(item),
        retry_of=item.retry_of,
        retry_job=item.retry_job,
        retry_attempt=int(item.retry_attempt or 0),
        source_job=item.source_job,
        restart_from=item.restart_from,
        seed=item.seed,
        is_seeded=bool(item.is_seeded),
        reruns=frozenset(item.reruns or ()),
        watched_until=item.watched_until,
        pulse=item.pulse,
    )


def _alone(item: JobItem) -> Job:
    """Return the job without what ties it to other jobs, and to those who watch it."""
    return Job(
        job_id=keys.job_of(item.pk),
        workspace=item.list_pk,
        task=item.task,
        revision=item.revision,
        status=JobStatus(item.status),
        source_type=SourceType(item.source_type),
        source_id=item.source_id,
        created_at=item.created_at,
        started_at=item.started_at,
        completed_at=item.completed_at,
        input=_payload(item.input),
        secret_input=item.secret_input,
        request_hash=item.request_hash,
        due=parsed(item.due_sk) if item.due_sk else None,
        looks=int(item.looks or 0),
        after=frozenset(AfterAction(action) for action in item.after or ()),
        nonce=item.nonce or "",
        start_at=item.start_at,
        deadline=item.deadline,
        priority=Priority(item.priority or Priority.NORMAL),
        parent=item.parent,
        depth=int(item.depth or 0),
        from_hook=bool(item.from_hook),
        slots=item.slots or (),
        admitted=bool(item.admitted),
        paused=bool(item.paused),
        killed=bool(item.killed),
        reason=item.reason,
        pins=item.pins or (),
    )


def record_values(record: StepRecord) -> dict[str, Any]:
    """Return the attributes of a record, without its keys; None for one that it does not have."""
    loop = record.loop
    return {
        "v": VERSION,
        "status": record.status.value,
        "attempt": record.attempt,
        "nonce": record.nonce,
        "lease": record.lease,
        "session": record.session,
        "worker": record.worker,
        "ready_at": record.ready_at,
        "started_at": record.started_at,
        "suspended_at": record.suspended_at,
        "completed_at": record.completed_at,
        "retry_at": record.retry_at,
        "error": record.error,
        "output": _kept(record.output),
        "history": [dump_past(past) for past in record.history] or None,
        "halted": record.halted or None,
        "loop": loop,
        "sent": loop.sent if loop else None,
        "child": record.child,
        "tell": record.tell or None,
    }


def record_item(kind: type[JobItem], job_id: str, record: StepRecord) -> JobItem:
    """Return the item of a record."""
    pk, sk = place_of(StepRef(job_id, record.step))
    values = {name: value for name, value in record_values(record).items() if value is not None}
    return kind(pk, sk, **values)


def step_of(item: JobItem) -> StepRecord:
    """Return the record of a step, or of an instance, that the item is."""
    return StepRecord(
        step=_step_in(item),
        status=StepStatus(item.status),
        attempt=int(item.attempt),
        nonce=item.nonce,
        lease=item.lease,
        session=item.session,
        worker=item.worker,
        ready_at=item.ready_at,
        started_at=item.started_at,
        suspended_at=item.suspended_at,
        completed_at=item.completed_at,
        retry_at=item.retry_at,
        error=item.error,
        output=_payload(item.output),
        history=tuple(load_past(str(text)) for text in item.history or ()),
        halted=bool(item.halted),
        loop=_loop(item),
        child=item.child,
        tell=bool(item.tell),
    )


def group_item(kind: type[JobItem], job_id: str, step: str, group: LoopGroup) -> JobItem:
    """Return the item of a group; one whose instances have all ended has no `open`."""
    item = kind(keys.job_pk(job_id), keys.loop_sk(step, group.number))
    if group.open:
        item.open = set(group.open)
    if group.failed:
        item.failed = set(group.failed)
    return item


def group_of(item: JobItem) -> LoopGroup:
    """Return the group that the item is."""
    _, number = keys.loop_of(item.sk)
    return LoopGroup(number, _indexes(item.open), _indexes(item.failed))


def state_of(job_id: str, items: Iterable[JobItem]) -> JobState:
    """Return the job of which these are the items.

    Raises:
        NotFoundError: its META is not among them.
    """
    job: Job | None = None
    steps: dict[str, StepRecord] = {}
    loops: dict[str, dict[int, LoopGroup]] = {}
    notes: list[Note] = []
    for item in items:
        if item.sk == keys.META:
            job = job_of(item)
        elif item.sk.startswith(keys.LOOP_PREFIX):
            step, number = keys.loop_of(item.sk)
            loops.setdefault(step, {})[number] = group_of(item)
        elif item.sk.startswith(keys.NOTE_PREFIX):
            notes.append(Note(keys.note_of(item.sk), item.at, item.text))
        else:
            record = step_of(item)
            steps[record.step] = record
    if job is None:
        raise NotFoundError(f"there is no job {job_id}")
    return JobState(job, steps, loops, in_order(notes))


def _step_in(item: JobItem) -> str:
    if not item.sk.startswith(keys.INSTANCE_PREFIX):
        return keys.step_of(item.sk)
    return instance_name(keys.loop_in(item.pk), keys.instance_index(item.sk))


def _loop(item: JobItem) -> LoopRun | None:
    # PynamoDB's types do not say that an attribute may be absent.
    kept: LoopRun | None = item.loop
    # `sent` stands apart: it alone of the loop changes.
    return None if kept is None else replace(kept, sent=int(item.sent or 0))


def _indexes(kept: set[float] | None) -> frozenset[int]:
    return frozenset(int(index) for index in kept or ())


def _payload(kept: Payload | None) -> Payload:
    return NO_PAYLOAD if kept is None else kept


def _kept(payload: Payload) -> Payload | None:
    return None if payload == NO_PAYLOAD else payload
