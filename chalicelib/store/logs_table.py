"""Log chunks on DynamoDB. A chunk is written once; its text is packed where that makes it smaller.

Source: decision 13; live logs.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
)

from chalicelib.domain import keys
from chalicelib.domain.logs import LogChunk, LogPart
from chalicelib.store.attributes import BlobRefAttribute
from chalicelib.store.dynamo import Item, RefusedError, answering, bind
from chalicelib.store.log_neighbours import Attempt, settled

_PACKING = 6
# What a head is read from: all but the text.
_NUMBERS = ["step", "attempt", "first", "last"]


class ChunkItem(Item):
    """A chunk: its text plain or packed, or a reference to where it is."""

    step = UnicodeAttribute()
    attempt = NumberAttribute()
    first = NumberAttribute()
    last = NumberAttribute()
    text = UnicodeAttribute(null=True)
    packed = BinaryAttribute(null=True, legacy_encoding=False)
    ref = BlobRefAttribute(null=True)
    live = BooleanAttribute(null=True)
    expires = TTLAttribute()


class LogsTable:
    """Chunks of lines by job; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._chunk = bind(ChunkItem, name, region, host)

    def append(self, chunk: LogChunk, expires_at: datetime) -> None:
        item = self._chunk(
            keys.log_pk(chunk.job_id),
            keys.log_sk(chunk.step, chunk.attempt, chunk.first),
            step=chunk.step,
            attempt=chunk.attempt,
            first=chunk.first,
            last=chunk.last,
            # Absent, so that the filter of the stream finds only those that are pushed.
            live=chunk.live or None,
            expires=expires_at,
        )
        _put_text(item, chunk)
        is_absent = self._chunk.pk.does_not_exist()
        try:
            with answering(self._name):
                item.save(is_absent)
        except RefusedError:
            return

    def chunks(self, job_id: str, step: str | None = None) -> list[LogChunk]:
        of_step = None
        if step is not None:
            of_step = self._chunk.sk.startswith(keys.log_step_prefix(step))
        with answering(self._name):
            items = self._chunk.query(keys.log_pk(job_id), of_step, consistent_read=True)
            return [chunk_of(item, job_id) for item in items]

    def chunks_after(
        self, job_id: str, step: str, attempt: int, after: int, limit: int
    ) -> list[LogChunk]:
        start = self._start(job_id, step, attempt, after)
        end = keys.log_sk(step, attempt, keys.LAST_LINE)
        return self._between(job_id, start, end, limit)

    def chunks_of(self, job_id: str, parts: Sequence[LogPart]) -> list[LogChunk]:
        by_attempt = {(part.step, part.attempt): part for part in parts}

        def page(start: str, end: str, limit: int) -> list[LogChunk]:
            return self._between(job_id, start, end, limit)

        def alone(attempt: Attempt) -> list[LogChunk]:
            part = by_attempt[attempt]
            if part.last <= part.after:
                # The table refuses a range that ends before it begins.
                return []
            start = self._start(job_id, *attempt, part.after)
            return self._between(job_id, start, keys.log_sk(*attempt, part.last))

        found = dict(settled(by_attempt, page, alone))
        return [
            chunk
            for attempt, part in by_attempt.items()
            for chunk in found[attempt]
            if part.meets(chunk)
        ]

    def head(self, job_id: str, step: str, attempt: int) -> int:
        newest = self._newest(job_id, step, attempt, keys.LAST_LINE)
        return newest.last if newest else 0

    def heads(self, job_id: str, attempts: Sequence[tuple[str, int]]) -> list[int]:
        def page(start: str, end: str, limit: int) -> list[LogChunk]:
            return self._between(job_id, start, end, limit, _NUMBERS)

        def alone(attempt: Attempt) -> list[LogChunk]:
            newest = self._newest(job_id, *attempt, keys.LAST_LINE)
            return [newest] if newest else []

        found = dict(settled(attempts, page, alone))
        return [found[one][-1].last if found[one] else 0 for one in attempts]

    def _start(self, job_id: str, step: str, attempt: int, after: int) -> str:
        """Return the key from which on chunks hold lines behind `after`."""
        # The chunk before may hold lines behind `after` too.
        before = self._newest(job_id, step, attempt, after + 1)
        first = after + 1 if before is None or before.last <= after else before.first
        return keys.log_sk(step, attempt, first)

    def _between(
        self,
        job_id: str,
        start: str,
        end: str,
        limit: int | None = None,
        only: list[str] | None = None,
    ) -> list[LogChunk]:
        """Return the first `limit` chunks from one sort key to another, both included.

        `only` names the attributes that are read of them.
        """
        with answering(self._name):
            items = self._chunk.query(
                keys.log_pk(job_id),
                self._chunk.sk.between(start, end),
                consistent_read=True,
                limit=limit,
                attributes_to_get=only,
            )
            return [chunk_of(item, job_id) for item in items]

    def _newest(self, job_id: str, step: str, attempt: int, first: int) -> LogChunk | None:
        """Return the last chunk of the attempt that begins at line `first` or before it."""
        within = self._chunk.sk.between(
            keys.log_sk(step, attempt, 0), keys.log_sk(step, attempt, first)
        )
        with answering(self._name):
            items = self._chunk.query(
                keys.log_pk(job_id),
                within,
                consistent_read=True,
                limit=1,
                scan_index_forward=False,
            )
            return next((chunk_of(item, job_id) for item in items), None)


def _put_text(item: ChunkItem, chunk: LogChunk) -> None:
    if chunk.ref is not None:
        item.ref = chunk.ref
    if not chunk.text:
        return
    content = chunk.text.encode()
    packed = zlib.compress(content, _PACKING)
    if len(packed) < len(content):
        item.packed = packed
    else:
        item.text = chunk.text


def chunk_of(item: ChunkItem, job_id: str) -> LogChunk:
    """Return the chunk that an item holds."""
    text = zlib.decompress(item.packed).decode() if item.packed else item.text
    return LogChunk(
        job_id=job_id,
        step=item.step,
        attempt=int(item.attempt),
        first=int(item.first),
        last=int(item.last),
        text=text or "",
        ref=item.ref,
        live=bool(item.live),
    )
