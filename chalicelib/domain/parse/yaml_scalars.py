"""Plain scalars by YAML 1.2's core schema.

`no`, `on`, `12:30`, `2026-01-01` and `1_000` stay text.

Source: YAML 1.2.2, section 10.3.2; security, S11.
"""

from __future__ import annotations

import math
import re

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 300


def resolve_plain(text: str) -> bool | int | float | str | None:
    """Return the value that an unquoted scalar stands for.

    Raises:
        ValueError: a number that JSON cannot carry (infinite, not a number, over 300 digits).
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> int | float | str:
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"`{text}` is a number that JSON cannot carry")
    is_number = any(p.fullmatch(text) for p in (_DECIMAL, _OCTAL, _HEXADECIMAL, _FLOAT))
    if not is_number:
        return text
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters; {_MAX_DIGITS} are the most")
    if _DECIMAL.fullmatch(text):
        return int(text)
    if text.startswith(("0o", "0x")):
        return int(text, 0)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"`{text}` is larger than a number can be")
    return value
