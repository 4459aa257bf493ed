"""Audit records on DynamoDB, in the table `registry`: put if absent, never changed or removed.

They expire after `KEPT`; only the table's own expiry takes one away.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from chalicelib.domain import keys
from chalicelib.domain.audit import AuditEntry, AuditRecord, AuditResult
from chalicelib.domain.errors import ConflictError
from chalicelib.domain.logs import stamp
from chalicelib.store.attributes import InstantAttribute, dumped
from chalicelib.store.dynamo import Item, RefusedError, answering, bind

KEPT = timedelta(days=400)


class AuditItem(Item):
    """One record; the entry is JSON."""

    at = InstantAttribute()
    chain = UnicodeAttribute()
    number = NumberAttribute()
    previous = UnicodeAttribute()
    hash = UnicodeAttribute()
    entry = UnicodeAttribute()
    expires = NumberAttribute()


class AuditTable:
    """Records by day; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(AuditItem, name, region, host)

    def add(self, record: AuditRecord) -> None:
        item = self._item(
            keys.audit_pk(stamp(record.at)[:10]),
            keys.audit_sk(stamp(record.at), record.chain, record.number),
            at=record.at,
            chain=record.chain,
            number=record.number,
            previous=record.previous,
            hash=record.hash,
            entry=dumped(asdict(record.entry)),
            expires=int((record.at + KEPT).timestamp()),
        )
        try:
            with answering(self._name):
                item.save(self._item.pk.does_not_exist())
        except RefusedError:
            self._expect_written(item.pk, item.sk, record)

    def day(self, day: str, before: str | None, limit: int) -> list[tuple[str, AuditRecord]]:
        behind = None if before is None else self._item.sk < before
        with answering(self._name):
            items = self._item.query(
                keys.audit_pk(day),
                behind,
                consistent_read=True,
                scan_index_forward=False,
                limit=limit,
            )
            return [(item.sk, _record_of(item)) for item in items]

    def _expect_written(self, pk: str, sk: str, record: AuditRecord) -> None:
        """Return when the very record stands there: an earlier try of ours.

        Raises:
            ConflictError: another does.
        """
        with answering(self._name):
            found = self._item.get(pk, sk, consistent_read=True)
        if found.hash != record.hash:
            raise ConflictError(f"another audit record stands at {sk}")


def _record_of(item: AuditItem) -> AuditRecord:
    entry = json.loads(item.entry)
    return AuditRecord(
        at=item.at,
        entry=AuditEntry(**{**entry, "result": AuditResult(entry["result"])}),
        chain=item.chain,
        number=int(item.number),
        previous=item.previous,
        hash=item.hash,
    )
