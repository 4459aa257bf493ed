"""Which nominal times are to be run now, and which have been missed for good.

A time is missed when nobody asked for `LATE` after it. One rule: whatever the policy drops, it
drops in the past only; every time that is not missed is run.
Source: decision 12 (`on_missed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain

from chalicelib.domain.schedule.timing import Timing

LATE = timedelta(minutes=2)
# `all` does not go back farther.
CATCH_UP = timedelta(hours=24)


class OnMissed(StrEnum):
    """What becomes of times that were missed: nothing, one run for all, or a run for each."""

    SKIP = "skip"
    ONE = "one"
    ALL = "all"


def times_from(
    timing: Timing, on_missed: OnMissed, next_at: datetime, now: datetime
) -> Iterator[datetime]:
    """Yield the nominal times to be run, in order, from `next_at` on and without end.

    `next_at` is the first time that was not dealt with yet.
    """
    is_late_before = now - LATE
    if next_at >= is_late_before:
        return timing.runs_from(next_at)
    match on_missed:
        case OnMissed.SKIP:
            return timing.runs_from(is_late_before)
        case OnMissed.ONE:
            missed = timing.last_in(next_at, is_late_before)
            after = timing.runs(is_late_before)
            return after if missed is None else chain((missed,), after)
        case OnMissed.ALL:
            return timing.runs_from(max(next_at, now - CATCH_UP))
