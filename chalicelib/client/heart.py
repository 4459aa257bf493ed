"""When to ask whether the server is still there, and when it is not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

PING_S = 5.0
IDLE_PING_S = 45.0
_DEAD_S = 15.0


@dataclass(slots=True)
class Heart:
    """What was heard of a connection, and when. Times are those of a monotonic clock.

    `asked_at` is that of the first ping since anything was heard.
    """

    heard_at: float = 0.0
    pinged_at: float = 0.0
    asked_at: float | None = None

    def opened(self, now: float) -> None:
        """Begin anew with a connection."""
        self.heard_at, self.pinged_at, self.asked_at = now, now, None

    def heard(self, now: float) -> None:
        """Take notice of a message."""
        self.heard_at, self.asked_at = now, None

    def is_due(self, now: float, quiet_since: float) -> bool:
        """Say whether to ping now; it counts as done. `quiet_since`: of what is followed."""
        is_quiet = now - quiet_since >= PING_S and now - self.pinged_at >= PING_S
        if not is_quiet and now - self.pinged_at < IDLE_PING_S:
            return False
        self.pinged_at = now
        self.asked_at = now if self.asked_at is None else self.asked_at
        return True

    def is_dead(self, now: float) -> bool:
        """Say whether a ping was not answered, nor anything else heard, for too long."""
        return self.asked_at is not None and now - self.asked_at > _DEAD_S
