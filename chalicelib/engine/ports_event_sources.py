"""What the engine needs to know of event sources. Source: workflow language, section 1.10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.domain.event_sources import EventSourceRecord


@dataclass(frozen=True, slots=True)
class Looked:
    """All that is kept: records by name, and for each workspace the revision that they follow."""

    records: Sequence[EventSourceRecord] = ()
    revisions: Mapping[str, str] = field(default_factory=dict)


class EventSources(Protocol):
    """The table `registry`: the consumers of event sources."""

    def look(self) -> Looked:
        """Return everything in one consistent query."""

    def record(self, workspace: str, name: str) -> EventSourceRecord | None:
        """Return what is kept of the trigger, if anything is."""

    def put(self, record: EventSourceRecord, expected: EventSourceRecord | None) -> None:
        """Replace `expected` (None: must be absent) by `record`. Raises ConflictError."""

    def delete(self, record: EventSourceRecord) -> None:
        """Remove the trigger's record. Safe to repeat."""

    def mark(self, workspace: str, revision: str) -> None:
        """Note that the workspace's records follow the revision."""


class NoEventSources:
    """No event sources: what an engine has that nobody gave any."""

    def look(self) -> Looked:
        return Looked()

    def record(self, workspace: str, name: str) -> EventSourceRecord | None:  # noqa: ARG002 - it has none
        return None

    def put(self, record: EventSourceRecord, expected: EventSourceRecord | None) -> None:
        """Keep nothing: here no consumer is kept running."""

    def delete(self, record: EventSourceRecord) -> None:
        """Remove nothing."""

    def mark(self, workspace: str, revision: str) -> None:
        """Keep nothing."""
