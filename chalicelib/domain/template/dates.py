"""Times as text, by the directives of the date filter. Owns which directives there are.

The one rule: no locale and no platform: each directive is written out here, any other is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chalicelib.domain.template.values import FaultError, Value

MAX_FORMAT = 200
NOON = 12
_DIRECTIVE = re.compile(r"%(-|\.3|3|\.|:)?(.)", re.DOTALL)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def _offset(at: datetime, colon: str) -> str:
    delta = at.utcoffset()
    minutes = int(delta.total_seconds() // 60) if delta else 0
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"


_FORMS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda at: f"{at.year:04}",
    "C": lambda at: f"{at.year // 100:02}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "h": lambda at: _MONTHS[at.month - 1][:3],
    "B": lambda at: _MONTHS[at.month - 1],
    "d": lambda at: f"{at.day:02}",
    "e": lambda at: f"{at.day:2}",
    "a": lambda at: _DAYS[at.weekday()][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "u": lambda at: str(at.isoweekday()),
    "w": lambda at: str(at.isoweekday() % 7),
    "G": lambda at: f"{at.isocalendar().year:04}",
    "V": lambda at: f"{at.isocalendar().week:02}",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
    "D": lambda at: render_time(at, "%m/%d/%y"),
    "F": lambda at: render_time(at, "%Y-%m-%d"),
    "H": lambda at: f"{at.hour:02}",
    "k": lambda at: f"{at.hour:2}",
    "I": lambda at: f"{at.hour % 12 or 12:02}",
    "l": lambda at: f"{at.hour % 12 or 12:2}",
    "p": lambda at: "PM" if at.hour >= NOON else "AM",
    "P": lambda at: "pm" if at.hour >= NOON else "am",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "f": lambda at: f"{at.microsecond * 1000:09}",
    ".f": lambda at: f".{at.microsecond:06}" if at.microsecond else "",
    ".3f": lambda at: f".{at.microsecond // 1000:03}",
    "3f": lambda at: f"{at.microsecond // 1000:03}",
    "R": lambda at: render_time(at, "%H:%M"),
    "T": lambda at: render_time(at, "%H:%M:%S"),
    "r": lambda at: render_time(at, "%I:%M:%S %p"),
    "c": lambda at: render_time(at, "%a %b %e %H:%M:%S %Y"),
    "Z": lambda at: at.tzname() or "UTC",
    "z": lambda at: _offset(at, ""),
    ":z": lambda at: _offset(at, ":"),
    "+": lambda at: at.isoformat(),
    "s": lambda at: str(int(at.timestamp())),
    "t": lambda _: "\t",
    "n": lambda _: "\n",
    "%": lambda _: "%",
}


def render_time(at: datetime, form: str) -> str:
    """Return the time by the directives in `form`; `%-d` and its like drop leading zeros.

    Raises:
        FaultError: a directive is not known, or the form is longer than 200 characters.
    """
    if len(form) > MAX_FORMAT:
        raise FaultError(f"a date format may have {MAX_FORMAT} characters")
    return _DIRECTIVE.sub(lambda found: _directive(at, found[1] or "", found[2]), form)


def _directive(at: datetime, modifier: str, letter: str) -> str:
    if modifier == "-" and letter in _FORMS:
        text = _FORMS[letter](at)
        return text.lstrip("0 ") or "0"
    form = _FORMS.get(modifier + letter)
    if form is None:
        raise FaultError(f"the date format has an unknown directive, `%{modifier}{letter}`")
    return form(at)


def read_time(value: Value, timezone: str | None) -> datetime:
    """Return the time that whole seconds since 1970, a date, or an RFC 3339 string stand for.

    A time without an offset is UTC and is not moved into `timezone`; all others are.

    Raises:
        FaultError: it is no such thing, or the time zone is not known.
    """
    zone = _zone(timezone) if timezone else None
    try:
        if type(value) is int:
            return datetime.fromtimestamp(value, zone or UTC)
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            return at.replace(tzinfo=UTC)
        return at.astimezone(zone) if zone else at
    except (ValueError, OverflowError, OSError):
        pass
    raise FaultError("the filter `date` wants a date, an RFC 3339 time or seconds since 1970")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise FaultError("the time zone is not known; write it as in `Europe/Copenhagen`")
