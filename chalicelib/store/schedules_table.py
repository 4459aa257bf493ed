"""Triggers' records and backfills on DynamoDB, in the table `registry`.

A change says what it changes in its condition, and a refused one is answered by looking at the
item: that of two tries of one write counts as done. Source: protocol, "Moves".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pynamodb.attributes import TTLAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.logs import stamp
from chalicelib.domain.schedule.records import Backfill, Mark, TriggerRecord
from chalicelib.store.attributes import InstantAttribute
from chalicelib.store.dynamo import Item, RefusedError, answering, bind
from chalicelib.store.schedules_items import (
    backfill_of,
    body_of_backfill,
    body_of_trigger,
    trigger_of,
)

BACKFILL_KEPT = timedelta(days=30)


class RegistryDueIndex(GlobalSecondaryIndex["DueItem"]):  # type: ignore[no-untyped-call] # PynamoDB's
    """What the tick has to look at, by kind and time."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_pk = UnicodeAttribute(hash_key=True)
    due_sk = UnicodeAttribute(range_key=True)


class DueItem(Item):
    """A record as JSON, and when the tick must look at it: absent when it need not."""

    by_due = RegistryDueIndex()

    body = UnicodeAttribute()
    due_pk = UnicodeAttribute(null=True)
    due_sk = UnicodeAttribute(null=True)
    expires = TTLAttribute(null=True)


class MarkItem(Item):
    """Up to which revision a workspace's records were brought; its name is the sort key."""

    revision = UnicodeAttribute()
    at = InstantAttribute()


class SchedulesTable:
    """Triggers' records; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._kept = _Bodies(name, region, host)
        self._mark = bind(MarkItem, name, region, host)

    def triggers(self, workspace: str) -> list[TriggerRecord]:
        items = self._kept.all(keys.triggers_pk(workspace))
        return [trigger_of(workspace, item.sk, item.body) for item in items]

    def trigger(self, workspace: str, name: str) -> TriggerRecord | None:
        body = self._kept.body(keys.triggers_pk(workspace), name)
        return None if body is None else trigger_of(workspace, name, body)

    def put(self, record: TriggerRecord, expected: TriggerRecord | None) -> None:
        item = self._kept.item(keys.triggers_pk(record.workspace), record.name)
        item.body = body_of_trigger(record)
        if record.next_at is not None:
            item.due_pk, item.due_sk = keys.TRIGGERS_DUE, stamp(record.next_at)
        before = None if expected is None else body_of_trigger(expected)
        if not self._kept.put(item, before):
            raise ConflictError(f"trigger {record.key} was changed at the same time: try again")

    def delete(self, expected: TriggerRecord) -> None:
        pk = keys.triggers_pk(expected.workspace)
        if not self._kept.delete(pk, expected.name, body_of_trigger(expected)):
            raise ConflictError(f"trigger {expected.key} was changed at the same time: try again")

    def due(self, until: datetime, limit: int) -> list[tuple[str, str]]:
        rows = self._kept.due(keys.TRIGGERS_DUE, stamp(until), limit)
        return [(keys.workspace_of_triggers(pk), sk) for pk, sk in rows]

    def marks(self) -> Mapping[str, Mark]:
        with answering(self._name):
            items = self._mark.query(keys.SCHEDULED_PK, consistent_read=True)
            return {item.sk: Mark(item.revision, item.at) for item in items}

    def mark(self, workspace: str, mark: Mark) -> None:
        with answering(self._name):
            self._mark(keys.SCHEDULED_PK, workspace, revision=mark.revision, at=mark.at).save()


class BackfillsTable:
    """Backfills; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._kept = _Bodies(name, region, host)

    def of_workspace(self, workspace: str, limit: int) -> list[Backfill]:
        items = self._kept.all(keys.backfills_pk(workspace), newest=limit)
        return [backfill_of(workspace, item.sk, item.body) for item in items]

    def get(self, workspace: str, backfill_id: str) -> Backfill:
        body = self._kept.body(keys.backfills_pk(workspace), backfill_id)
        if body is None:
            raise NotFoundError(f"workspace {workspace!r} has no backfill {backfill_id!r}")
        return backfill_of(workspace, backfill_id, body)

    def put(self, record: Backfill, expected: Backfill | None) -> None:
        item = self._kept.item(keys.backfills_pk(record.workspace), record.backfill_id)
        item.body = body_of_backfill(record)
        if record.ended_at is None:
            item.due_pk, item.due_sk = keys.BACKFILLS_DUE, stamp(record.created_at)
        else:
            item.expires = record.ended_at + BACKFILL_KEPT
        before = None if expected is None else body_of_backfill(expected)
        if not self._kept.put(item, before):
            raise ConflictError(
                f"backfill {record.backfill_id} was changed at the same time: try again"
            )

    def running(self, limit: int) -> list[tuple[str, str]]:
        rows = self._kept.due(keys.BACKFILLS_DUE, None, limit)
        return [(keys.workspace_of_backfills(pk), sk) for pk, sk in rows]


class _Bodies:
    """Items that are replaced as a whole, on the condition that they are as they were read."""

    def __init__(self, name: str, region: str, host: str | None) -> None:
        self._name = name
        self.item = bind(DueItem, name, region, host)

    def all(self, pk: str, newest: int | None = None) -> list[DueItem]:
        with answering(self._name):
            found = self.item.query(
                pk, consistent_read=True, limit=newest, scan_index_forward=newest is None
            )
            return list(found)

    def body(self, pk: str, sk: str) -> str | None:
        with answering(self._name):
            try:
                return self.item.get(pk, sk, consistent_read=True).body
            except DoesNotExist:
                return None

    def put(self, item: DueItem, before: str | None) -> bool:
        """Say whether it stands there now: an earlier try of ours may have arrived."""
        is_as_read: Condition = self.item.pk.does_not_exist()
        if before is not None:
            is_as_read = self.item.body == before
        try:
            with answering(self._name):
                item.save(is_as_read)
        except RefusedError:
            return self.body(item.pk, item.sk) == item.body
        return True

    def delete(self, pk: str, sk: str, before: str) -> bool:
        """Say whether it is gone now."""
        try:
            with answering(self._name):
                self.item(pk, sk).delete(self.item.body == before)
        except RefusedError:
            return self.body(pk, sk) is None
        return True

    def due(self, shard: str, until: str | None, limit: int) -> list[tuple[str, str]]:
        is_time = None if until is None else self.item.due_sk <= until
        with answering(self._name):
            rows = self.item.by_due.query(shard, range_key_condition=is_time, limit=limit)
            return [(row.pk, row.sk) for row in rows]
