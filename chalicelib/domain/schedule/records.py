"""What is kept of a trigger beside its definition, and of a backfill.

The definition says what a trigger is; a record says how far its schedule has come, and what
operators have said about it. One rule: a nominal time before `next_at` was dealt with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.schedule.timing import Timing
from chalicelib.domain.workflow import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRecord:
    """One trigger of a workspace.

    `timing` is what `next_at` was worked out from, None for what is no schedule. `next_at` is the
    first nominal time that was not dealt with, None while the schedule does not run.
    `enabled` is an operator's word over the file's, None where there is none.
    `error` says why the run of `error_at` could not be made, until one is made again.
    """

    workspace: str
    name: str
    timing: Timing | None = None
    next_at: datetime | None = None
    paused: bool = False
    enabled: bool | None = None
    error: str | None = None
    error_at: datetime | None = None

    def is_live(self, trigger: Trigger) -> bool:
        """Say whether the trigger starts anything, as far as it is its own to decide."""
        return self.is_enabled(trigger) and not self.paused

    def is_enabled(self, trigger: Trigger) -> bool:
        """Say whether it is enabled: by an operator's word, else by its definition."""
        return trigger.enabled if self.enabled is None else self.enabled

    @property
    def key(self) -> str:
        """Return what jobs name as their source."""
        return f"{self.workspace}/{self.name}"

    @property
    def is_said(self) -> bool:
        """Say whether an operator said something that must outlive the trigger itself."""
        return self.paused or self.enabled is not None


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to which revision a workspace's records were brought, and when."""

    revision: str
    at: datetime


class BackfillStatus(StrEnum):
    """Where a backfill stands; `RUNNING` until the last of its jobs has ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A wish to run a schedule for times that have passed, at most `max_parallel` at a time.

    `first` and `last` are the bounds asked for, `total` how many nominal times lie between them.
    `next_at` is the first of these that was not dealt with, None when all were. `made` counts the
    jobs made for it, `existing` the times that had a job already.
    """

    backfill_id: str
    workspace: str
    trigger: str
    timing: Timing
    first: datetime
    last: datetime
    max_parallel: int
    total: int
    created_at: datetime
    by: str
    next_at: datetime | None
    status: BackfillStatus = BackfillStatus.RUNNING
    made: int = 0
    existing: int = 0
    ended_at: datetime | None = None
    error: str | None = None
