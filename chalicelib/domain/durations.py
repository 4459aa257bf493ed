"""Durations as the language writes them.

Whole seconds, or hours, minutes and seconds as in `1h30m15s`.

Source: workflow language, section 1.5.
"""

from __future__ import annotations

import re

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.values import JsonValue

_SPELLED = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_HELP = 'write whole seconds (90) or hours, minutes and seconds ("1h30m15s")'


def parse_duration(value: JsonValue) -> int:
    """Return whole seconds, at least 1.

    Raises:
        InvalidError: anything else than a whole number above 0 or a text like `1h30m15s`.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidError(f"a duration cannot be {value!r}: {_HELP}")
    seconds = value if isinstance(value, int) else _seconds_of(value)
    if seconds <= 0:
        raise InvalidError(f"a duration must be longer than 0 s, not {value}")
    return seconds


def _seconds_of(text: str) -> int:
    match = _SPELLED.fullmatch(text)
    if match is None or not text:
        raise InvalidError(f"`{text}` is not a duration: {_HELP}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def format_duration(seconds: int) -> str:
    """Return the shortest spelling that `parse_duration` reads back to the same seconds."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
