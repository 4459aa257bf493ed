"""What is known of a worker's session: one start of one worker process.

A session leases the worker, not the step: one heartbeat speaks for all that it runs.
Source: protocol, "Workers".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.values import StepRef
from chalicelib.domain.worker_groups import EVERYTHING, Scope

HEARTBEAT_S = 20
SILENT_AFTER = timedelta(seconds=60)
# How old what a process knows of a session may be: only heartbeats change it.
SESSION_KEPT = timedelta(seconds=10)


class WorkerStatus(StrEnum):
    """Whether the session lives, as far as is known."""

    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A session. `running` is what it said to run at its last heartbeat, None if it never says.

    `group` is the id of the worker group whose token opened it, and `scope` what that may serve.
    """

    worker_id: str
    name: str
    status: WorkerStatus
    capabilities: tuple[str, ...]
    registered_at: datetime
    last_heartbeat: datetime
    tags: tuple[str, ...] = ()
    exclusive: bool = False
    version: str | None = None
    running: tuple[StepRef, ...] | None = ()
    group: str | None = None
    scope: Scope = EVERYTHING

    def holds(self, ref: StepRef, claimed_at: datetime | None, now: datetime) -> bool:
        """Say whether the session may still be running a step that it claimed at `claimed_at`.

        A live session that left the step out of every heartbeat for as long as a silent one is
        given never got the reply to its claim: it does not know of the step.
        """
        if self.status is not WorkerStatus.ACTIVE or now - self.last_heartbeat > SILENT_AFTER:
            return False
        if self.running is None:
            return True
        unheard_since = claimed_at is None or self.last_heartbeat - claimed_at > SILENT_AFTER
        return ref in self.running or not unheard_since
