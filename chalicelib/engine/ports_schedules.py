"""What the engine needs to know of triggers and backfills. Source: decision 12; protocol, I5."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.schedule.records import Backfill, Mark, TriggerRecord


class Schedules(Protocol):
    """The table `registry`: how far each trigger's schedule has come."""

    def triggers(self, workspace: str) -> list[TriggerRecord]:
        """Return all of a workspace, by name."""

    def trigger(self, workspace: str, name: str) -> TriggerRecord | None:
        """Return what is kept of the trigger, if anything is."""

    def put(self, record: TriggerRecord, expected: TriggerRecord | None) -> None:
        """Replace `expected` (None: must be absent) by `record`. Raises ConflictError."""

    def delete(self, expected: TriggerRecord) -> None:
        """Remove the record as it was read; an absent one is no error. Raises ConflictError."""

    def due(self, until: datetime, limit: int) -> list[tuple[str, str]]:
        """Return workspace and name of those with a time up to `until`, earliest first.

        Eventually consistent.
        """

    def marks(self) -> Mapping[str, Mark]:
        """Return the mark of each workspace whose records were brought up to a revision."""

    def mark(self, workspace: str, mark: Mark) -> None:
        """Write the workspace's mark."""


class Backfills(Protocol):
    """The table `registry`: backfills, for 30 days after their end."""

    def of_workspace(self, workspace: str, limit: int) -> list[Backfill]:
        """Return the newest."""

    def get(self, workspace: str, backfill_id: str) -> Backfill:
        """Raises NotFoundError."""

    def put(self, record: Backfill, expected: Backfill | None) -> None:
        """Replace `expected` (None: must be absent) by `record`. Raises ConflictError."""

    def running(self, limit: int) -> list[tuple[str, str]]:
        """Return workspace and id of those that run, oldest first. Eventually consistent."""


class Refresher(Protocol):
    """Brings a workspace up to what its source holds now."""

    def refresh(self, workspace: str) -> None:
        """Publish the newest files if there are any.

        Raises StroemError: the source did not answer, or its files are not sound.
        """


class NoSchedules:
    """No triggers' records: what an engine has that nobody gave any."""

    def triggers(self, workspace: str) -> list[TriggerRecord]:  # noqa: ARG002 - it has none
        return []

    def trigger(self, workspace: str, name: str) -> TriggerRecord | None:  # noqa: ARG002 - the same
        return None

    def put(self, record: TriggerRecord, expected: TriggerRecord | None) -> None:
        """Keep nothing: here nothing runs by the clock."""

    def delete(self, expected: TriggerRecord) -> None:
        """Remove nothing."""

    def due(self, until: datetime, limit: int) -> list[tuple[str, str]]:  # noqa: ARG002 - it has none
        return []

    def marks(self) -> Mapping[str, Mark]:
        return {}

    def mark(self, workspace: str, mark: Mark) -> None:
        """Keep nothing."""


class NoBackfills:
    """No backfills: what an engine has that nobody gave any."""

    def of_workspace(self, workspace: str, limit: int) -> list[Backfill]:  # noqa: ARG002 - it has none
        return []

    def get(self, workspace: str, backfill_id: str) -> Backfill:
        raise NotFoundError(f"workspace {workspace!r} has no backfill {backfill_id!r}")

    def put(self, record: Backfill, expected: Backfill | None) -> None:
        raise NotImplementedError(f"nothing keeps backfills here: {record}, {expected}")

    def running(self, limit: int) -> list[tuple[str, str]]:  # noqa: ARG002 - it has none
        return []


class NoRefresher:
    """Leaves every workspace as it was published last."""

    def refresh(self, workspace: str) -> None:
        """Do nothing."""
