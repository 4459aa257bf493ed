"""One cron field's text into the numbers it means. Every refusal names the field and says why.

Source: workflow language, section 1.10; decision 12.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.errors import InvalidError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
ANY = ("*", "?")
MAX_FIELD_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What may stand in a field: its bounds, both included, and the names for them."""

    name: str
    low: int
    high: int
    names: dict[str, int]

    def refuse(self, text: str, why: str) -> InvalidError:
        """Return the error that names the field."""
        return InvalidError(f"cron: the {self.name} field `{text}`: {why}")


SECOND = FieldKind("second", 0, 59, {})
MINUTE = FieldKind("minute", 0, 59, {})
HOUR = FieldKind("hour", 0, 23, {})
DAY = FieldKind("day-of-month", 1, 31, {})
MONTH = FieldKind("month", 1, 12, {name: index for index, name in enumerate(_MONTHS, 1)})
# Both 0 and 7 are Sunday, as in every cron.
WEEKDAY = FieldKind("day-of-week", 0, 7, {name: index for index, name in enumerate(_WEEKDAYS)})


def parse_field(kind: FieldKind, text: str) -> tuple[int, ...]:
    """Return the numbers, sorted. Lists, ranges, steps and names; no special letters.

    Raises:
        InvalidError: naming the field and what is wrong with it.
    """
    if len(text) > MAX_FIELD_LENGTH:
        raise kind.refuse(text[:20] + "…", f"longer than {MAX_FIELD_LENGTH} characters")
    found: set[int] = set()
    for part in text.split(","):
        found.update(_parse_part(kind, part))
    return tuple(sorted(found))


def _parse_part(kind: FieldKind, part: str) -> range:
    if not part:
        raise kind.refuse(part, "an empty entry in the list")
    span, slash, step_text = part.partition("/")
    step = _parse_step(kind, part, step_text) if slash else 1
    if span == "*":
        high = 6 if kind is WEEKDAY else kind.high
        return range(kind.low, high + 1, step)
    low_text, dash, high_text = span.partition("-")
    low = parse_number(kind, low_text, part)
    if not dash:
        return range(low, (kind.high if slash else low) + 1, step)
    high = parse_number(kind, high_text, part)
    if kind is WEEKDAY and high == 0 and low > 0:
        high = 7
    if high < low:
        why = f"the range runs backwards; write {low}-{kind.high},{kind.low}-{high}"
        raise kind.refuse(part, why)
    return range(low, high + 1, step)


def _parse_step(kind: FieldKind, part: str, text: str) -> int:
    if not _is_digits(text) or int(text) == 0:
        raise kind.refuse(part, "the step after `/` must be a whole number from 1")
    step = int(text)
    if step > kind.high:
        raise kind.refuse(part, f"the step {step} is larger than the field ({kind.high})")
    return step


def parse_number(kind: FieldKind, text: str, part: str) -> int:
    """Return one number or named value within the field's bounds.

    Raises:
        InvalidError: naming the field; `part` is what is shown.
    """
    number = kind.names.get(text.upper())
    if number is None and _is_digits(text):
        number = int(text)
    if number is None:
        known = f" or {', '.join(kind.names)}" if kind.names else ""
        raise kind.refuse(part, f"`{text}` is neither a number{known}")
    if not kind.low <= number <= kind.high:
        raise kind.refuse(part, f"{number} is not from {kind.low} to {kind.high}")
    return number


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4  # noqa: PLR2004 - no field has more
