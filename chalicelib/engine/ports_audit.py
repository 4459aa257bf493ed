"""What the engine needs to keep an audit: a place where records are added, and never changed."""

from __future__ import annotations

from typing import Protocol

from chalicelib.domain.audit import AuditRecord


class AuditLog(Protocol):
    """The table `registry`: a partition a day."""

    def add(self, record: AuditRecord) -> None:
        """Write the record if it is absent; the very same again is no error.

        Raises ConflictError when another stands there.
        """

    def day(self, day: str, before: str | None, limit: int) -> list[tuple[str, AuditRecord]]:
        """Return up to `limit` records of a day (`YYYY-MM-DD`), newest first, with their places.

        With `before`, those behind that place only.
        """


class NoAudit:
    """Keeps nothing: what an engine has that nobody gave a log."""

    def add(self, record: AuditRecord) -> None:
        """Forget it."""

    def day(self, day: str, before: str | None, limit: int) -> list[tuple[str, AuditRecord]]:
        del day, before, limit
        return []
