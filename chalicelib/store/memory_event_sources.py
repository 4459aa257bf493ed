"""Event sources in memory: for tests; one suite holds for both."""

from __future__ import annotations

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.event_sources import EventSourceRecord
from chalicelib.engine.ports_event_sources import Looked


class MemoryEventSources:
    """Records by workspace and name."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], EventSourceRecord] = {}
        self._revisions: dict[str, str] = {}

    def look(self) -> Looked:
        return Looked([self._records[key] for key in sorted(self._records)], dict(self._revisions))

    def record(self, workspace: str, name: str) -> EventSourceRecord | None:
        return self._records.get((workspace, name))

    def put(self, record: EventSourceRecord, expected: EventSourceRecord | None) -> None:
        key = (record.workspace, record.name)
        if self._records.get(key) not in (expected, record):
            raise ConflictError(f"event source {record.key} was changed at the same time")
        self._records[key] = record

    def delete(self, record: EventSourceRecord) -> None:
        self._records.pop((record.workspace, record.name), None)

    def mark(self, workspace: str, revision: str) -> None:
        self._revisions[workspace] = revision
