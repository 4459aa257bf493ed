"""What the engine needs to know of where workspaces and libraries come from."""

from __future__ import annotations

from typing import Protocol

from chalicelib.domain.origins import Holder, Publication, SourceRecord


class Sources(Protocol):
    """The table `registry`: sources of workspaces and libraries, and what was published."""

    def all(self, holder: Holder | None = None) -> list[SourceRecord]:
        """Return those of all libraries, or of all workspaces, or both in this order, by name."""

    def get(self, holder: Holder, name: str) -> SourceRecord | None:
        """Return the source of that name, if there is one."""

    def put(self, record: SourceRecord, expected: SourceRecord | None) -> None:
        """Replace `expected` (None: must be absent) by `record`. Raises ConflictError."""

    def delete(self, holder: Holder, name: str) -> None:
        """Remove the source; an absent one is no error."""

    def note(self, published: Publication) -> None:
        """Keep that a revision came into force. Safe to repeat."""

    def history(self, workspace: str, limit: int) -> list[Publication]:
        """Return what was published, newest first."""


class NoSources:
    """No sources: what an engine has that nobody gave any."""

    def all(self, holder: Holder | None = None) -> list[SourceRecord]:
        del holder
        return []

    def get(self, holder: Holder, name: str) -> SourceRecord | None:
        del holder, name
        return None

    def put(self, record: SourceRecord, expected: SourceRecord | None) -> None:
        raise NotImplementedError(f"nothing keeps sources here: {record}, {expected}")

    def delete(self, holder: Holder, name: str) -> None:
        """Remove nothing."""

    def note(self, published: Publication) -> None:
        """Keep nothing."""

    def history(self, workspace: str, limit: int) -> list[Publication]:
        del workspace, limit
        return []
