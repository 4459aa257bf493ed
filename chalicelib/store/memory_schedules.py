"""Triggers' records and backfills in memory: for tests and simulators; one suite for both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.schedule.records import Backfill, Mark, TriggerRecord


class MemorySchedules:
    """Records by workspace and name."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], TriggerRecord] = {}
        self._marks: dict[str, Mark] = {}

    def triggers(self, workspace: str) -> list[TriggerRecord]:
        own = sorted(key for key in self._records if key[0] == workspace)
        return [self._records[key] for key in own]

    def trigger(self, workspace: str, name: str) -> TriggerRecord | None:
        return self._records.get((workspace, name))

    def put(self, record: TriggerRecord, expected: TriggerRecord | None) -> None:
        key = (record.workspace, record.name)
        if self._records.get(key) not in (expected, record):
            raise ConflictError(f"trigger {record.key} was changed at the same time: try again")
        self._records[key] = record

    def delete(self, expected: TriggerRecord) -> None:
        key = (expected.workspace, expected.name)
        if self._records.get(key) not in (expected, None):
            raise ConflictError(f"trigger {expected.key} was changed at the same time: try again")
        self._records.pop(key, None)

    def due(self, until: datetime, limit: int) -> list[tuple[str, str]]:
        waiting = ((one.next_at, key) for key, one in self._records.items() if one.next_at)
        return [key for next_at, key in sorted(waiting) if next_at <= until][:limit]

    def marks(self) -> Mapping[str, Mark]:
        return dict(self._marks)

    def mark(self, workspace: str, mark: Mark) -> None:
        self._marks[workspace] = mark


class MemoryBackfills:
    """Backfills by workspace and id."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Backfill] = {}

    def of_workspace(self, workspace: str, limit: int) -> list[Backfill]:
        own = sorted((key for key in self._records if key[0] == workspace), reverse=True)
        return [self._records[key] for key in own[:limit]]

    def get(self, workspace: str, backfill_id: str) -> Backfill:
        record = self._records.get((workspace, backfill_id))
        if record is None:
            raise NotFoundError(f"workspace {workspace!r} has no backfill {backfill_id!r}")
        return record

    def put(self, record: Backfill, expected: Backfill | None) -> None:
        key = (record.workspace, record.backfill_id)
        if self._records.get(key) not in (expected, record):
            raise ConflictError(
                f"backfill {record.backfill_id} was changed at the same time: try again"
            )
        self._records[key] = record

    def running(self, limit: int) -> list[tuple[str, str]]:
        open_ones = (one for one in self._records.values() if one.ended_at is None)
        oldest = sorted(open_ones, key=lambda one: (one.created_at, one.backfill_id))
        return [(one.workspace, one.backfill_id) for one in oldest[:limit]]
