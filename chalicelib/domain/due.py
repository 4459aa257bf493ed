"""When the sweep looks at a job again.

Times are rounded up to half a minute, so that a look that moves little leaves the index alone.
Source: protocol, "Sweep".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

ROUND_S = 30
FIRST = timedelta(minutes=1)
# A job that lost everything just after a look must still end within ten minutes (I3).
LONGEST = timedelta(minutes=5)


def first_due(now: datetime, wanted: Iterable[datetime] = ()) -> datetime:
    """Return when a job that was just created is looked at first; `wanted` as for `next_due`."""
    return next_due(now, 0, wanted)


def next_due(now: datetime, looks: int, wanted: Iterable[datetime]) -> datetime:
    """Return the time of the next look after look number `looks`, from 1.

    The gaps are 2, 4, then 5 minutes; the first instant of `wanted` that is still to come, such as
    that of a retry or of a step's timeout, brings it forward.
    """
    gap = min(FIRST * 2 ** min(looks, 10), LONGEST)
    return _rounded(min([now + gap, *(at for at in wanted if at > now)]))


def _rounded(instant: datetime) -> datetime:
    seconds = int(-(-instant.timestamp() // ROUND_S) * ROUND_S)
    return datetime.fromtimestamp(seconds, tz=UTC)
