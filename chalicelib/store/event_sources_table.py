"""Event sources on DynamoDB, in one partition of the table `registry`: the tick reads it whole.

A change says what it changes in its condition: of two ticks one moves a consumer on.
"""

from __future__ import annotations

import json
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError
from chalicelib.domain.event_sources import EventSourceRecord
from chalicelib.engine.ports_event_sources import Looked
from chalicelib.store.attributes import dumped
from chalicelib.store.dynamo import Item, RefusedError, answering, bind


class EventSourceItem(Item):
    """A record as JSON; or, under a workspace's name alone, the revision that is followed."""

    body = UnicodeAttribute()


class EventSourcesTable:
    """Records by workspace and name; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(EventSourceItem, name, region, host)

    def look(self) -> Looked:
        records, revisions = [], {}
        with answering(self._name):
            for item in self._item.query(keys.EVENT_SOURCES_PK, consistent_read=True):
                workspace, name = keys.event_source_of(item.sk)
                if name:
                    records.append(_record_of(workspace, name, item.body))
                else:
                    revisions[workspace] = item.body
        return Looked(sorted(records, key=lambda one: (one.workspace, one.name)), revisions)

    def record(self, workspace: str, name: str) -> EventSourceRecord | None:
        with answering(self._name):
            try:
                item = self._item.get(
                    keys.EVENT_SOURCES_PK,
                    keys.event_source_sk(workspace, name),
                    consistent_read=True,
                )
            except self._item.DoesNotExist:
                return None
        return _record_of(workspace, name, item.body)

    def put(self, record: EventSourceRecord, expected: EventSourceRecord | None) -> None:
        item = self._item
        is_as_read: Condition = item.pk.does_not_exist()
        if expected is not None:
            is_as_read = item.body == _body_of(expected)
        sk = keys.event_source_sk(record.workspace, record.name)
        try:
            with answering(self._name):
                item(keys.EVENT_SOURCES_PK, sk, body=_body_of(record)).save(is_as_read)
        except RefusedError:
            # An earlier try of ours may have arrived, or another tick did the same.
            if self.record(record.workspace, record.name) != record:
                raise ConflictError(
                    f"event source {record.key} was changed at the same time"
                ) from None

    def delete(self, record: EventSourceRecord) -> None:
        sk = keys.event_source_sk(record.workspace, record.name)
        with answering(self._name):
            self._item(keys.EVENT_SOURCES_PK, sk).delete()

    def mark(self, workspace: str, revision: str) -> None:
        sk = keys.event_source_sk(workspace, "")
        with answering(self._name):
            self._item(keys.EVENT_SOURCES_PK, sk, body=revision).save()


def _body_of(record: EventSourceRecord) -> str:
    return dumped([record.number, record.job_id, record.revision, record.is_done])


def _record_of(workspace: str, name: str, body: str) -> EventSourceRecord:
    said: list[Any] = json.loads(body)
    number, job_id, revision, is_done = said
    return EventSourceRecord(
        workspace=workspace,
        name=name,
        number=number,
        job_id=job_id,
        revision=revision,
        is_done=is_done,
    )
