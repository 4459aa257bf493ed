"""Items of the table `jobs`: a job's META and its step records, to the domain and back.

What a key says already is stated nowhere else in the item: job, step, workspace and `due`.
Source: protocol, items.
"""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from chalicelib.domain import keys
from chalicelib.domain.job import AfterAction, Job, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.logs import stamp
from chalicelib.domain.values import NO_PAYLOAD, Payload
from chalicelib.store.attributes import (
    BlobRefAttribute,
    InstantAttribute,
    PayloadAttribute,
    load_past,
    parsed,
)
from chalicelib.store.dynamo import Item

_ROW = [
    "task",
    "status",
    "source_type",
    "source_id",
    "revision",
    "created_at",
    "started_at",
    "completed_at",
]


class ListIndex(GlobalSecondaryIndex["JobItem"]):  # type: ignore[no-untyped-call] # PynamoDB's
    """Jobs of a workspace by time."""

    class Meta:
        index_name = "list"
        projection = IncludeProjection(_ROW)

    list_pk = UnicodeAttribute(hash_key=True)
    list_sk = UnicodeAttribute(range_key=True)


class DueIndex(GlobalSecondaryIndex["JobItem"]):  # type: ignore[no-untyped-call] # PynamoDB's
    """Jobs that the sweep has to look at, in shards, by the time of the look."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_pk = UnicodeAttribute(hash_key=True)
    due_sk = UnicodeAttribute(range_key=True)


class JobItem(Item):
    """A META item or a step record: `sk` says which. An attribute without a value is absent."""

    by_list = ListIndex()
    by_due = DueIndex()

    # both
    status = UnicodeAttribute()
    nonce = UnicodeAttribute(null=True)
    started_at = InstantAttribute(null=True)
    completed_at = InstantAttribute(null=True)
    # META
    list_pk = UnicodeAttribute(null=True)
    list_sk = UnicodeAttribute(null=True)
    due_pk = UnicodeAttribute(null=True)
    due_sk = UnicodeAttribute(null=True)
    task = UnicodeAttribute(null=True)
    revision = UnicodeAttribute(null=True)
    source_type = UnicodeAttribute(null=True)
    source_id = UnicodeAttribute(null=True)
    created_at = InstantAttribute(null=True)
    input = PayloadAttribute(null=True)
    secret_input = BlobRefAttribute(null=True)
    request_hash = UnicodeAttribute(null=True)
    looks = NumberAttribute(null=True)
    after = UnicodeSetAttribute(null=True)
    # step records
    attempt = NumberAttribute(null=True)
    lease = UnicodeAttribute(null=True)
    session = UnicodeAttribute(null=True)
    worker = UnicodeAttribute(null=True)
    retry_at = InstantAttribute(null=True)
    error = UnicodeAttribute(null=True)
    output = PayloadAttribute(null=True)
    history = ListAttribute(of=UnicodeAttribute, null=True)
    halted = BooleanAttribute(null=True)


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
        "input": None if job.input == NO_PAYLOAD else job.input,
        "secret_input": job.secret_input,
        "request_hash": job.request_hash,
        "due_pk": keys.due_pk(job.job_id) if job.due else None,
        "due_sk": stamp(job.due) if job.due else None,
        "looks": job.looks or None,
        "after": set(job.after) or None,
        "nonce": job.nonce or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def job_of(item: JobItem) -> Job:
    """Return the job whose META, or row of the `list` index, the item is."""
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
    )


def step_of(item: JobItem) -> StepRecord:
    """Return the step record that the item is."""
    return StepRecord(
        step=keys.step_of(item.sk),
        status=StepStatus(item.status),
        attempt=int(item.attempt),
        nonce=item.nonce,
        lease=item.lease,
        session=item.session,
        worker=item.worker,
        started_at=item.started_at,
        completed_at=item.completed_at,
        retry_at=item.retry_at,
        error=item.error,
        output=_payload(item.output),
        history=tuple(load_past(str(text)) for text in item.history or ()),
        halted=bool(item.halted),
    )


def _payload(kept: Payload | None) -> Payload:
    return kept or NO_PAYLOAD
