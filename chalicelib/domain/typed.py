"""Read the text that a template gave as a value of the type that a field asks for.

A template gives text, whatever it reads; without this no step could hand a number on. What people
give is never converted (`inputs`), nor is text that does not spell a value of the type exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import InputField

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?", re.ASCII)
_BOOLEANS: dict[str, JsonValue] = {"true": True, "false": False}
_MOST_LETTERS = 64


def typed(field: InputField, text: str) -> JsonValue:
    """Return the value that the text spells; the text itself where it spells none."""
    word = text.strip()
    if field.multiple:
        return _list_in(word, text)
    read = _READERS.get(field.type)
    return text if read is None or len(word) > _MOST_LETTERS else read(word, text)


def typed_as(kind: str, written: JsonValue, value: JsonValue) -> JsonValue:
    """Return a connection's value as its field's type, where a template or reference gave text.

    What stands in the definition as it is stays as it is.
    """
    if value is written or value == written or not isinstance(value, str):
        return value
    read = _READERS.get(kind)
    return value if read is None else read(value.strip(), value)


def _integer_in(word: str, text: str) -> JsonValue:
    return int(word) if _INTEGER.fullmatch(word) else text


def _number_in(word: str, text: str) -> JsonValue:
    if _INTEGER.fullmatch(word):
        return int(word)
    return float(word) if _NUMBER.fullmatch(word) else text


def _boolean_in(word: str, text: str) -> JsonValue:
    return _BOOLEANS.get(word.lower(), text)


def _list_in(word: str, text: str) -> JsonValue:
    try:
        found = json.loads(word)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, list) else text


_READERS: dict[str, Callable[[str, str], JsonValue]] = {
    "integer": _integer_in,
    "number": _number_in,
    "boolean": _boolean_in,
    "bool": _boolean_in,
}
