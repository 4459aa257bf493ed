"""Which days of a month a cron expression means.

`L`, `L-3`, `15W`, `LW`, `MON#2`, `5L`, and plain fields.

When both day fields are restricted (neither is `*` nor `?`), a day fits if either does: classic
cron.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass

from chalicelib.domain.schedule.fields import ANY, DAY, WEEKDAY, parse_field, parse_number

_SATURDAY, _SUNDAY = 6, 0
_MAX_NTH = 5
_MAX_FROM_LAST = 30


@dataclass(frozen=True, slots=True)
class DayRule:
    """The two day fields, read. Weekdays count from Sunday 0 to Saturday 6.

    `from_last` holds days counted back from the last (0 is the last), `nearest` the days of `15W`
    (0 stands for `LW`), `nth` pairs of weekday and 1 to 5, where 0 is the last of the month.
    """

    any_day: bool
    any_weekday: bool
    days: frozenset[int]
    from_last: frozenset[int]
    nearest: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]

    def days_of(self, year: int, month: int) -> tuple[int, ...]:
        """Return the days of that month that fit, sorted."""
        first_weekday, last = monthrange(year, month)
        first = (first_weekday + 1) % 7
        if self.any_day and self.any_weekday:
            return tuple(range(1, last + 1))
        found: set[int] = set()
        if not self.any_day:
            found |= self._by_day(first, last)
        if not self.any_weekday:
            found |= self._by_weekday(first, last)
        return tuple(sorted(found))

    def _by_day(self, first: int, last: int) -> set[int]:
        found = {day for day in self.days if day <= last}
        found |= {last - back for back in self.from_last if back < last}
        found |= {
            _nearest_workday(day or last, first, last) for day in self.nearest if day <= last
        }
        return found

    def _by_weekday(self, first: int, last: int) -> set[int]:
        found = {day for day in range(1, last + 1) if (first + day - 1) % 7 in self.weekdays}
        for weekday, which in self.nth:
            hits = range(1 + (weekday - first) % 7, last + 1, 7)
            if which == 0:
                found.add(hits[-1])
            elif which <= len(hits):
                found.add(hits[which - 1])
        return found


def _nearest_workday(day: int, first: int, last: int) -> int:
    weekday = (first + day - 1) % 7
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def parse_days(day_text: str, weekday_text: str) -> DayRule:
    """Return the rule of both day fields.

    Raises:
        InvalidError: naming the field and what is wrong with it.
    """
    days, from_last, nearest = _parse_days(day_text)
    weekdays, nth = _parse_weekdays(weekday_text)
    return DayRule(
        any_day=day_text in ANY,
        any_weekday=weekday_text in ANY,
        days=days,
        from_last=from_last,
        nearest=nearest,
        weekdays=weekdays,
        nth=nth,
    )


def _parse_days(text: str) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    days: set[int] = set()
    from_last: set[int] = set()
    nearest: set[int] = set()
    for part in () if text in ANY else text.split(","):
        upper = part.upper()
        if upper == "L":
            from_last.add(0)
        elif upper.startswith("L-"):
            from_last.add(_from_last(part))
        elif upper == "LW":
            nearest.add(0)
        elif upper.endswith("W"):
            nearest.add(parse_number(DAY, part[:-1], part))
        else:
            days.update(parse_field(DAY, part))
    return frozenset(days), frozenset(from_last), frozenset(nearest)


def _from_last(part: str) -> int:
    back = part[2:]
    if not (back.isascii() and back.isdigit() and 1 <= int(back[:3]) <= _MAX_FROM_LAST):
        raise DAY.refuse(part, f"after `L-` comes a number from 1 to {_MAX_FROM_LAST}")
    return int(back)


def _parse_weekdays(text: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    weekdays: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for part in () if text in ANY else text.split(","):
        name, hash_sign, which = part.partition("#")
        if hash_sign:
            nth.add((parse_number(WEEKDAY, name, part) % 7, _which(part, which)))
        elif part.upper() == "L":
            raise WEEKDAY.refuse(
                part, "`L` needs a weekday, as in `5L` or `FRIL`: the last Friday"
            )
        elif part.upper().endswith("L"):
            nth.add((parse_number(WEEKDAY, part[:-1], part) % 7, 0))
        else:
            weekdays.update(number % 7 for number in parse_field(WEEKDAY, part))
    return frozenset(weekdays), frozenset(nth)


def _which(part: str, text: str) -> int:
    if text.upper() == "L":
        return 0
    if len(text) != 1 or text not in "12345":
        raise WEEKDAY.refuse(part, f"after `#` comes a number from 1 to {_MAX_NTH}, or L")
    return int(text)
