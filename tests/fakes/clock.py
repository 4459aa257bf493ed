"""A clock that moves when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class FakeClock:
    """Stands still at `start` until it is moved."""

    def __init__(self, start: datetime = NOON) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def tick(self, seconds: float = 0, **more: float) -> datetime:
        """Move on by so much, in the words of `timedelta`; return the new time."""
        self._now += timedelta(seconds=seconds, **more)
        return self._now

    def move_to(self, instant: datetime) -> None:
        self._now = instant
