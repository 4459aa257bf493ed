"""Sources and what was published, on DynamoDB, in the table `registry`.

A source is one JSON text, which writers compare: of two changes at a time one is refused.
Source: protocol, "Moves".
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError
from chalicelib.domain.logs import stamp
from chalicelib.domain.origins import Holder, Publication, Source, SourceKind, SourceRecord
from chalicelib.domain.values import BlobRef
from chalicelib.store.attributes import dumped, parsed
from chalicelib.store.dynamo import Item, RefusedError, answering, bind

_MAX_TEXT = 2_000


class TextItem(Item):
    """A record as JSON."""

    body = UnicodeAttribute()


class SourcesTable:
    """Sources by holder and name; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(TextItem, name, region, host)

    def all(self, holder: Holder | None = None) -> list[SourceRecord]:
        is_wanted = None
        if holder is not None:
            is_wanted = self._item.sk.startswith(keys.source_prefix(holder.value))
        with answering(self._name):
            items = self._item.query(keys.SOURCES_PK, is_wanted, consistent_read=True)
            return [_record_of(item.sk, item.body) for item in items]

    def get(self, holder: Holder, name: str) -> SourceRecord | None:
        sk = keys.source_sk(holder.value, name)
        body = self._body(keys.SOURCES_PK, sk)
        return None if body is None else _record_of(sk, body)

    def put(self, record: SourceRecord, expected: SourceRecord | None) -> None:
        pk, body = keys.SOURCES_PK, _body_of(record)
        sk = keys.source_sk(record.holder.value, record.name)
        is_as_read: Condition = self._item.pk.does_not_exist()
        if expected is not None:
            is_as_read = self._item.body == _body_of(expected)
        try:
            with answering(self._name):
                self._item(pk, sk, body=body).save(is_as_read)
        except RefusedError:
            # An earlier try of ours may have arrived.
            if self._body(pk, sk) != body:
                raise ConflictError(
                    f"the source of {record.holder} {record.name!r} was changed at the same "
                    "time: try again"
                ) from None

    def delete(self, holder: Holder, name: str) -> None:
        with answering(self._name):
            self._item(keys.SOURCES_PK, keys.source_sk(holder.value, name)).delete()

    def note(self, published: Publication) -> None:
        said = {
            "kind": published.kind,
            "by": published.by,
            "commit": published.commit,
            "author": _cut(published.author),
            "message": _cut(published.message),
        }
        sk = keys.published_sk(stamp(published.at), published.revision)
        with answering(self._name):
            self._item(keys.published_pk(published.workspace), sk, body=dumped(said)).save()

    def history(self, workspace: str, limit: int) -> list[Publication]:
        with answering(self._name):
            items = self._item.query(
                keys.published_pk(workspace),
                consistent_read=True,
                scan_index_forward=False,
                limit=limit,
            )
            return [_published_of(workspace, item.sk, item.body) for item in items]

    def _body(self, pk: str, sk: str) -> str | None:
        with answering(self._name):
            try:
                return self._item.get(pk, sk, consistent_read=True).body
            except DoesNotExist:
                return None


def _body_of(record: SourceRecord) -> str:
    source, archive = record.source, record.archive
    return dumped(
        {
            "source": {
                "kind": source.kind.value,
                "path": source.path,
                "url": source.url,
                "ref": source.ref,
                "poll_interval_s": source.poll_interval_s,
                "token": source.token,
                "username": source.username,
                "ssh_key": source.ssh_key,
                "host_keys": source.host_keys,
                "hook_secret": source.hook_secret,
                "lent_to": None if source.lent_to is None else list(source.lent_to),
            },
            "seen": record.seen,
            "tried_at": None if record.tried_at is None else stamp(record.tried_at),
            "fault": _cut(record.fault),
            "error": _cut(record.error),
            "revision": record.revision,
            "archive": [archive.key, archive.size, archive.sha256] if archive else None,
        }
    )


def _record_of(sk: str, body: str) -> SourceRecord:
    holder, name = keys.source_of(sk)
    said: dict[str, Any] = json.loads(body)
    source = said["source"]
    lent_to = source["lent_to"]
    return SourceRecord(
        holder=Holder(holder),
        name=name,
        source=Source(
            **{
                **source,
                "kind": SourceKind(source["kind"]),
                "lent_to": None if lent_to is None else tuple(lent_to),
            }
        ),
        seen=said["seen"],
        tried_at=_instant(said["tried_at"]),
        fault=said["fault"],
        error=said["error"],
        revision=said["revision"],
        archive=BlobRef(*said["archive"]) if said["archive"] else None,
    )


def _published_of(workspace: str, sk: str, body: str) -> Publication:
    at, _, revision = sk.partition("#")
    return Publication(workspace=workspace, revision=revision, at=parsed(at), **json.loads(body))


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parsed(text)
