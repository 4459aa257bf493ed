"""When a schedule runs: its cron in its zone, up to its end, each run a little late if it says so.

One rule: a run is known by its nominal time, that of the cron; jitter moves only its beginning,
and always by as much.
Source: workflow language, section 1.10; decision 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import takewhile

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.schedule.cron import Cron, zone_of
from chalicelib.domain.workflow import Trigger, TriggerType

_MOMENT = timedelta(microseconds=1)
_PARTS = 1 << 32


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a schedule. None of them is later than `end_at`."""

    cron: str
    timezone: str = "UTC"
    end_at: datetime | None = None
    jitter_s: int = 0

    def runs(self, after: datetime) -> Iterator[datetime]:
        """Yield the nominal times after the instant, in UTC and in order."""
        found = Cron.parse(self.cron).runs(after, self.timezone)
        end_at = self.end_at
        return found if end_at is None else takewhile(lambda run: run <= end_at, found)

    def runs_from(self, first: datetime) -> Iterator[datetime]:
        """Yield the nominal times from the instant on, it being one of them perhaps."""
        return self.runs(first - _MOMENT)

    def first_after(self, instant: datetime) -> datetime | None:
        """Return the first nominal time after the instant; None when there is none."""
        return next(self.runs(instant), None)

    def last_in(self, first: datetime, last: datetime) -> datetime | None:
        """Return the last nominal time from `first` to `last`; None when there is none.

        Looks back over ever longer spans: however many there are, few are worked out.
        """
        span = timedelta(minutes=1)
        while True:
            begin = max(first, last - span)
            found = None
            for run in takewhile(lambda run: run <= last, self.runs_from(begin)):
                found = run
            if found is not None or begin == first:
                return found
            span *= 16

    def delay_of(self, key: str, nominal: datetime) -> timedelta:
        """Return how much later than its nominal time the run of the schedule `key` begins.

        The same at every call, so that a repeat begins no other one.
        """
        if not self.jitter_s:
            return timedelta()
        said = sha256(f"{key}\n{nominal.isoformat()}".encode()).digest()
        part = int.from_bytes(said[:4]) / _PARTS
        return timedelta(seconds=int(part * (self.jitter_s + 1)))


def timing_of(trigger: Trigger) -> Timing | None:
    """Return a schedule's times; None for any other trigger.

    Raises:
        InvalidError: its end is no time, which a sound workspace does not hold.
    """
    if trigger.type is not TriggerType.SCHEDULER or trigger.cron is None:
        return None
    end_at = None if trigger.end_at is None else end_of(trigger.end_at, trigger.timezone)
    return Timing(trigger.cron, trigger.timezone, end_at, trigger.jitter_s)


def end_of(text: str, timezone: str) -> datetime:
    """Return the last instant that `end_at` allows, in UTC: of a date, the end of that day.

    One without an offset is a local time of the zone.

    Raises:
        InvalidError: it is neither a date nor a time.
    """
    zone = zone_of(timezone)
    try:
        plain = date.fromisoformat(text)
    except ValueError:
        return _instant(text, timezone)
    try:
        next_day = datetime.combine(plain + timedelta(days=1), time.min, zone)
        return next_day.astimezone(UTC) - _MOMENT
    except OverflowError:
        raise InvalidError(f"`{text}` lies too far ahead") from None


def _instant(text: str, timezone: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=zone_of(timezone))
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidError(f"`{text}` is neither a date nor a time") from None
