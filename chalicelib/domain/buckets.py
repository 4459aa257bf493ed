"""Token buckets: so much at once, and so much a minute after that.

Source: security, S22.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_minute` requests, of which `burst` may come at once."""

    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was left at a time."""

    left: float
    at: datetime

    @classmethod
    def full(cls, rate: Rate, now: datetime) -> Bucket:
        """Return the bucket of somebody who has not asked yet."""
        return cls(float(rate.burst), now)

    def filled(self, rate: Rate, now: datetime) -> Bucket:
        """Return the bucket as it is at `now`; a clock that went back fills nothing."""
        passed_s = max(0.0, (now - self.at).total_seconds())
        left = min(float(rate.burst), self.left + passed_s * rate.per_minute / _MINUTE_S)
        return Bucket(left, max(now, self.at))

    def taken(self) -> Bucket:
        """Return what is left after one request. There must be one."""
        return replace(self, left=self.left - 1)

    @property
    def is_empty(self) -> bool:
        """Say whether the next request must wait."""
        return self.left < 1

    def wait_s(self, rate: Rate) -> int:
        """Return whole seconds until the next request may come; at least 1."""
        missing = max(0.0, 1 - self.left)
        return max(1, -int(-missing * _MINUTE_S // rate.per_minute))
