"""Items of the table `jobs` as they stand: which attributes there are, and what the indexes show.

What a key says already is stated nowhere else in the item: job, step, workspace and `due`.
Source: protocol, items.
"""

from __future__ import annotations

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    NumberAttribute,
    NumberSetAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from chalicelib.store.attributes import (
    BlobRefAttribute,
    InstantAttribute,
    LoopAttribute,
    ParentAttribute,
    PayloadAttribute,
    PinsAttribute,
    SlotsAttribute,
)
from chalicelib.store.dynamo import Item

# DynamoDB takes 20 at most.
_ROW = [
    "task",
    "status",
    "source_type",
    "source_id",
    "revision",
    "created_at",
    "started_at",
    "completed_at",
    "start_at",
    "deadline",
    "priority",
    "depth",
    "paused",
    "killed",
    "retry_of",
    "retry_job",
    "retry_attempt",
    "source_job",
    "restart_from",
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
    """An item of any kind: `sk` says which. An attribute without a value is absent."""

    by_list = ListIndex()
    by_due = DueIndex()

    # META and step records
    status = UnicodeAttribute(null=True)
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
    start_at = InstantAttribute(null=True)
    deadline = InstantAttribute(null=True)
    priority = UnicodeAttribute(null=True)
    parent = ParentAttribute(null=True)
    depth = NumberAttribute(null=True)
    from_hook = BooleanAttribute(null=True)
    slots = SlotsAttribute(null=True)
    admitted = BooleanAttribute(null=True)
    paused = BooleanAttribute(null=True)
    killed = BooleanAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    retry_of = UnicodeAttribute(null=True)
    retry_job = UnicodeAttribute(null=True)
    retry_attempt = NumberAttribute(null=True)
    source_job = UnicodeAttribute(null=True)
    restart_from = UnicodeAttribute(null=True)
    seed = BlobRefAttribute(null=True)
    is_seeded = BooleanAttribute(null=True)
    pins = PinsAttribute(null=True)
    reruns = UnicodeSetAttribute(null=True)
    watched_until = InstantAttribute(null=True)
    pulse = InstantAttribute(null=True)
    # records of steps and instances
    attempt = NumberAttribute(null=True)
    lease = UnicodeAttribute(null=True)
    session = UnicodeAttribute(null=True)
    worker = UnicodeAttribute(null=True)
    ready_at = InstantAttribute(null=True)
    suspended_at = InstantAttribute(null=True)
    retry_at = InstantAttribute(null=True)
    error = UnicodeAttribute(null=True)
    output = PayloadAttribute(null=True)
    history = ListAttribute(of=UnicodeAttribute, null=True)
    halted = BooleanAttribute(null=True)
    child = UnicodeAttribute(null=True)
    tell = BooleanAttribute(null=True)
    # the record of a loop; the nonce of who raised `sent` last, and from where
    loop = LoopAttribute(null=True)
    sent = NumberAttribute(null=True)
    sent_by = UnicodeAttribute(null=True)
    sent_before = NumberAttribute(null=True)
    # groups of a loop
    open = NumberSetAttribute(null=True)
    failed = NumberSetAttribute(null=True)
    # notes
    at = InstantAttribute(null=True)
    text = UnicodeAttribute(null=True)
