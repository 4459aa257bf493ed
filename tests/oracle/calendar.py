"""When a cron runs, worked out from the calendar alone: no code of the product is used here.

Every date of the span is held against the two day fields, every second of a day against the other
three; a zone's clock changes are found by walking its hours. What a local time means follows from
the rule: one that does not exist runs when the gap ends, one that occurs twice the first time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAY_S = 86_400
_EPOCH = date(1970, 1, 1)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


class Zone:
    """A zone's offsets: `starts[i]` is the second of UTC from which `offsets[i]` holds."""

    def __init__(self, name, first_year, last_year):
        self._zone = ZoneInfo(name)
        at = _utc(first_year - 1, 12, 1)
        end = _utc(last_year + 1, 2, 1)
        self.starts, self.offsets = [at], [self._offset(at)]
        while at < end:
            later = at + 3_600
            if self._offset(later) != self.offsets[-1]:
                self._note(at, later)
            at = later
        self._ends = [*self.starts[1:], float("inf")]

    def _note(self, before, after):
        """Walk the seconds of an hour in which the offset changes."""
        for second in range(before + 1, after + 1):
            offset = self._offset(second)
            if offset != self.offsets[-1]:
                self.starts.append(second)
                self.offsets.append(offset)

    def _offset(self, second):
        moment = datetime.fromtimestamp(second, tz=UTC).astimezone(self._zone)
        return int(moment.utcoffset().total_seconds())

    @cache  # noqa: B019 - a zone lives as long as the run
    def settled(self, day):
        """Return the offset of a local day that no clock change comes near; else None."""
        first = bisect_right(self.starts, day * DAY_S - 2 * DAY_S) - 1
        last = bisect_right(self.starts, day * DAY_S + 3 * DAY_S) - 1
        return self.offsets[first] if first == last else None

    def instant(self, wall):
        """Return the second of UTC at which a local second runs."""
        first = max(0, bisect_left(self.starts, wall - 2 * DAY_S) - 1)
        near = range(first, bisect_right(self.starts, wall + 2 * DAY_S))
        for i in near:
            if self.starts[i] <= wall - self.offsets[i] < self._ends[i]:
                return wall - self.offsets[i]
        (gap,) = (
            self.starts[i]
            for i in near[1:]
            if self.starts[i] + self.offsets[i - 1] <= wall < self.starts[i] + self.offsets[i]
        )
        return gap

    def changes(self):
        """Return the local days on which the clocks change, as days since 1970."""
        return [
            (start + offset) // DAY_S
            for start, offset in zip(self.starts, self.offsets, strict=True)
        ][1:]


class Calendar:
    """A cron's days and the seconds within them."""

    def __init__(self, text):
        fields = text.split()
        second, minute, hour, self._day, month, self._weekday = (
            fields if len(fields) == 6 else ["0", *fields]
        )
        hours = [h for h in range(24) if _is_in(hour, h, 0, 23)]
        minutes = [m for m in range(60) if _is_in(minute, m, 0, 59)]
        seconds = [s for s in range(60) if _is_in(second, s, 0, 59)]
        self._months = {m for m in range(1, 13) if _is_in(month, m, 1, 12, _MONTHS, 1)}
        self.seconds = [h * 3_600 + m * 60 + s for h in hours for m in minutes for s in seconds]

    def days(self, first_year, last_year):
        """Return the days that fit, as days since 1970."""
        day = date(first_year, 1, 1)
        found = []
        while day.year <= last_year:
            if self._fits(day):
                found.append((day - _EPOCH).days)
            day += timedelta(days=1)
        return found

    def _fits(self, day):
        if day.month not in self._months:
            return False
        any_day, any_weekday = self._day in "*?", self._weekday in "*?"
        by_day = any(_is_day(part, day) for part in self._day.split(",")) and not any_day
        by_weekday = (
            any(_is_weekday(part, day) for part in self._weekday.split(",")) and not any_weekday
        )
        return by_day or by_weekday or (any_day and any_weekday)


def runs_on(calendar, zone, day):
    """Return the seconds of UTC at which it runs on a local day, in order, each once."""
    offset = zone.settled(day)
    base = day * DAY_S
    if offset is not None:
        base -= offset
        return [base + second for second in calendar.seconds]
    return sorted({zone.instant(base + second) for second in calendar.seconds})


def _is_in(field, value, low, high, names=(), first=0):
    return any(_fits_part(part, value, low, high, names, first) for part in field.split(","))


def _fits_part(part, value, low, high, names, first):
    span, _, step = part.partition("/")
    if span in "*?":
        begin, end = low, high
    elif "-" in span:
        begin, end = (_number(word, names, first) for word in span.split("-"))
    else:
        begin = _number(span, names, first)
        end = high if step else begin
    return begin <= value <= end and (value - begin) % int(step or 1) == 0


def _number(word, names, first):
    return names.index(word.upper()) + first if word.upper() in names else int(word)


def _is_day(part, day):
    last = monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.startswith("L-"):
        return day.day == last - int(part[2:])
    if part.endswith("W"):
        wanted = last if part == "LW" else int(part[:-1])
        return wanted <= last and day == _workday(date(day.year, day.month, wanted))
    return _is_in(part, day.day, 1, 31)


def _workday(day):
    """Return the weekday of the same month that lies nearest."""
    for step in (0, -1, 1, -2, 2):
        near = day + timedelta(days=step)
        if near.month == day.month and near.weekday() < 5:
            return near
    raise AssertionError(day)


def _is_weekday(part, day):
    number = day.isoweekday() % 7
    name, has_hash, which = part.partition("#")
    is_last = (day + timedelta(days=7)).month != day.month
    if has_hash:
        nth = is_last if which.upper() == "L" else (day.day + 6) // 7 == int(which)
        return number == _number(name, _DAYS, 0) % 7 and nth
    if part.upper().endswith("L"):
        return number == _number(part[:-1], _DAYS, 0) % 7 and is_last
    span = part.upper()
    if "-" in span:
        ends, _, step = span.partition("/")
        low, high = (_number(word, _DAYS, 0) for word in ends.split("-"))
        high = 7 if high == 0 < low else high
        part = f"{low}-{high}" + (f"/{step}" if step else "")
    # Sunday is 0 and 7.
    return _is_in(part, number, 0, 6 if part.startswith("*") else 7, _DAYS, 0) or (
        number == 0 and not part.startswith("*") and _is_in(part, 7, 0, 7, _DAYS, 0)
    )


def _utc(year, month, day):
    return (date(year, month, day) - _EPOCH).days * DAY_S
