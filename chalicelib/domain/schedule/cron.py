"""Cron with 5 or 6 fields (seconds first) in IANA time zones.

When does it run next? Never steps second by second.

Clock changes: a local time that does not exist runs at the first instant after the gap; a local
time that occurs twice runs once, the first time. So no run is lost and none is doubled.
Source: workflow language, section 1.10; decision 12.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.schedule.days import DayRule, parse_days
from chalicelib.domain.schedule.fields import (
    HOUR,
    MAX_FIELD_LENGTH,
    MINUTE,
    MONTH,
    SECOND,
    parse_field,
)

HORIZON_YEARS = 100
_SHORT, _LONG = 5, 6
_LAST_YEAR = 9998
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, read. Make it with `parse`."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    days: DayRule

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Return the expression's meaning.

        Raises:
            InvalidError: naming the field and what is wrong with it.
        """
        fields = _fields_of(text)
        second, minute, hour, day, month, weekday = fields
        return cls(
            text=text.strip(),
            seconds=parse_field(SECOND, second),
            minutes=parse_field(MINUTE, minute),
            hours=parse_field(HOUR, hour),
            months=parse_field(MONTH, month),
            days=parse_days(day, weekday),
        )

    def next_after(self, instant: datetime, zone: str) -> datetime | None:
        """Return the first run after the instant (which must be aware), in UTC.

        None if there is none within `HORIZON_YEARS`, as for 30 February.

        Raises:
            InvalidError: the zone is not an IANA time zone.
        """
        return next(self.runs(instant, zone), None)

    def runs(self, after: datetime, zone: str) -> Iterator[datetime]:
        """Yield the runs after the instant in order, each once, as far as the horizon of `after`.

        Raises: as `next_after`, at the first run.
        """
        info = zone_of(zone)
        latest = after.astimezone(UTC)
        for wall in self._walls_after(latest.astimezone(info).replace(tzinfo=None)):
            found = _instant_of(wall, info)
            # A second pass through the same hour, or times that all fell into one gap.
            if found > latest:
                yield found
                latest = found

    def _walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the local times after `wall` that fit, in order, as far as the horizon."""
        start = wall.replace(microsecond=0) + timedelta(seconds=1)
        last_year = min(start.year + HORIZON_YEARS, _LAST_YEAR)
        for year in range(start.year, last_year + 1):
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                for day in self.days.days_of(year, month):
                    date = datetime(year, month, day)  # noqa: DTZ001 - a local time without zone
                    if date.date() < start.date():
                        continue
                    is_first = date.date() == start.date()
                    for clock in self._clocks(start.time() if is_first else time.min):
                        yield datetime.combine(date, clock)

    def _clocks(self, start: time) -> Iterator[time]:
        """Yield the times of day from `start` on."""
        for hour in self.hours[bisect_left(self.hours, start.hour) :]:
            on_hour = hour == start.hour
            first = bisect_left(self.minutes, start.minute) if on_hour else 0
            for minute in self.minutes[first:]:
                on_minute = on_hour and minute == start.minute
                skip = bisect_left(self.seconds, start.second) if on_minute else 0
                for second in self.seconds[skip:]:
                    yield time(hour, minute, second)


def next_runs(cron: Cron, zone: str, after: datetime, count: int) -> tuple[datetime, ...]:
    """Return the next `count` runs after the instant, in UTC; fewer if there are no more."""
    return tuple(islice(cron.runs(after, zone), count))


def zone_of(name: str) -> ZoneInfo:
    """Return the IANA time zone.

    Raises:
        InvalidError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"`{name}` is not a time zone: write a name such as UTC or Europe/Copenhagen"
        raise InvalidError(message) from error


def _fields_of(text: str) -> list[str]:
    if len(text) > MAX_FIELD_LENGTH:
        raise InvalidError(f"cron: longer than {MAX_FIELD_LENGTH} characters")
    plain = text.strip()
    if plain.startswith("@"):
        if plain.lower() not in _ALIASES:
            raise InvalidError(f"cron: `{plain}` is none of {', '.join(_ALIASES)}")
        plain = _ALIASES[plain.lower()]
    fields = plain.split()
    if len(fields) not in (_SHORT, _LONG):
        raise InvalidError(
            f"cron: `{plain}` has {len(fields)} fields; write 5 (minute hour day month weekday)"
            " or 6 (with seconds first)"
        )
    return fields if len(fields) == _LONG else ["0", *fields]


def _instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time.

    The first of two, or the end of the gap that it falls into.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return first
    return _end_of_gap(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first, zone)


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second of the new offset; `before` lies before the change, `after` not."""
    offset = after.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while low < high:
        middle = (low + high) // 2
        moment = (before + timedelta(seconds=middle)).astimezone(zone)
        if moment.utcoffset() == offset:
            high = middle
        else:
            low = middle + 1
    return before + timedelta(seconds=low)
