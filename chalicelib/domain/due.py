"""When the sweep looks at a job again.

Times are rounded up to half a minute, so that a look that moves little leaves the index alone.
Source: protocol, "Sweep".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

ROUND_S = 30
FIRST = timedelta(minutes=1)
LONGEST = timedelta(minutes=10)


def first_due(now: datetime) -> datetime:
    """Return when a job that was just created is looked at first."""
    return _rounded(now + FIRST)


def next_due(now: datetime, looks: int, retries: Iterable[datetime]) -> datetime:
    """Return the time of the next look after look number `looks`, from 1.

    The gaps double from 1 minute to 10; a retry that the queue cannot wait for brings it forward.
    """
    gap = min(FIRST * 2 ** min(looks, 10), LONGEST)
    return _rounded(min([now + gap, *(at for at in retries if at > now)]))


def _rounded(instant: datetime) -> datetime:
    seconds = int(-(-instant.timestamp() // ROUND_S) * ROUND_S)
    return datetime.fromtimestamp(seconds, tz=UTC)
