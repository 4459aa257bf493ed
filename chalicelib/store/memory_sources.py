"""Sources and what was published, in memory: for tests and simulators; one suite for both."""

from __future__ import annotations

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.origins import Holder, Publication, SourceRecord


class MemorySources:
    """Sources by holder and name, and what was published by workspace."""

    def __init__(self) -> None:
        self._records: dict[tuple[Holder, str], SourceRecord] = {}
        self._published: dict[str, list[Publication]] = {}

    def all(self, holder: Holder | None = None) -> list[SourceRecord]:
        return [self._records[key] for key in sorted(self._records) if holder in (None, key[0])]

    def get(self, holder: Holder, name: str) -> SourceRecord | None:
        return self._records.get((holder, name))

    def put(self, record: SourceRecord, expected: SourceRecord | None) -> None:
        key = (record.holder, record.name)
        if self._records.get(key) not in (expected, record):
            raise ConflictError(
                f"the source of {record.holder} {record.name!r} was changed at the same time: "
                "try again"
            )
        self._records[key] = record

    def delete(self, holder: Holder, name: str) -> None:
        self._records.pop((holder, name), None)

    def note(self, published: Publication) -> None:
        kept = self._published.setdefault(published.workspace, [])
        if published not in kept:
            kept.append(published)

    def history(self, workspace: str, limit: int) -> list[Publication]:
        kept = self._published.get(workspace, [])
        newest = sorted(kept, key=lambda one: (one.at, one.revision), reverse=True)
        return newest[:limit]
