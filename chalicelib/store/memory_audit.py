"""Audit records in memory: for tests and `stroem run`."""

from __future__ import annotations

from chalicelib.domain import keys
from chalicelib.domain.audit import AuditRecord
from chalicelib.domain.errors import ConflictError
from chalicelib.domain.logs import stamp


class MemoryAudit:
    """Records by day and place."""

    def __init__(self) -> None:
        self._days: dict[str, dict[str, AuditRecord]] = {}

    def add(self, record: AuditRecord) -> None:
        at = stamp(record.at)
        place = keys.audit_sk(at, record.chain, record.number)
        if self._days.setdefault(at[:10], {}).setdefault(place, record) != record:
            raise ConflictError(f"another audit record stands at {place}")

    def day(self, day: str, before: str | None, limit: int) -> list[tuple[str, AuditRecord]]:
        rows = sorted(self._days.get(day, {}).items(), reverse=True)
        return [row for row in rows if before is None or row[0] < before][:limit]
