"""The values that templates work on: kinds, printing, equality, lookup.

The one rule: values are exactly dict, list, str, int, float, bool and None, looked up by item and
never by attribute; and no message made here contains a value, only names and kinds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from chalicelib.domain.values import JsonValue

# Any: what generated code hands around is a JSON value or a Missing; each operation checks which.
Value: TypeAlias = Any

KINDS: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    list: "array",
    dict: "object",
}
WORDS = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "a whole number",
    "float": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}
MAX_NAMES_SHOWN = 20
MAX_NAME_SHOWN = 60


class FaultError(Exception):
    """A template's own mistake, before the line is known. Never leaves the template modules."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a lookup gives that finds nothing: false in a condition, an error anywhere else."""

    what: str
    parent: str
    names: tuple[str, ...]
    nature: str

    def __bool__(self) -> bool:
        return False

    def why(self) -> str:
        """Return the sentence for people: which name, and which names there are instead."""
        if self.nature == "object":
            listed = ", ".join(self.names) or "nothing"
            return f"`{self.what}` is not defined; {self.parent} has: {listed}"
        return f"`{self.what}` is not defined; {self.parent} is {self.nature}"


def kind_of(value: Value) -> str:
    """Return the value's kind, one of the values of KINDS.

    Raises:
        FaultError: the value is no JSON value.
    """
    kind = KINDS.get(type(value))
    if kind is None:
        raise FaultError("a value that is not plain JSON reached the template")
    return kind


def a_kind(value: Value) -> str:
    """Return the value's kind with its article: `a string`."""
    return "not defined" if type(value) is Missing else WORDS[kind_of(value)]


def show_names(names: Iterable[object]) -> tuple[str, ...]:
    """Return at most 20 names, sorted and cut to 60 characters each, for a message."""
    ordered = sorted(str(name) for name in names)
    shown = [name[:MAX_NAME_SHOWN] for name in ordered[:MAX_NAMES_SHOWN]]
    if len(ordered) > MAX_NAMES_SHOWN:
        shown.append("…")
    return tuple(shown)


def is_number(value: Value) -> bool:
    """Tell numbers from all else; a boolean is no number."""
    return type(value) is int or type(value) is float


def show(value: Value) -> str:
    """Return the value as Tera prints it: `[a, b]`, `[object]`, nothing for null, no exponents."""
    text = "[object]"
    match value:
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case int():
            text = str(value)
        case None:
            text = ""
        case float():
            text = _show_float(value)
        case list():
            text = "[" + ", ".join(show(item) for item in value) + "]"
    return text


def _show_float(value: float) -> str:
    if not math.isfinite(value):
        raise FaultError("a number that is not finite cannot be printed")
    if value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def to_json(value: Value, *, pretty: bool = False) -> str:
    """Return the value as JSON with sorted keys: compact, or indented by two spaces."""
    if pretty:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )


def same(left: Value, right: Value) -> bool:
    """Compare as JSON: true is not 1, 1 is 1.0, objects by keys, arrays by order."""
    if type(left) is list and type(right) is list:
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is dict and type(right) is dict:
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def contains(container: Value, needle: Value, what: str) -> bool:
    """Tell whether an array has an equal item, a string the part, an object the key."""
    if type(container) is list:
        return any(same(item, needle) for item in container)
    if type(container) not in (str, dict):
        raise FaultError(
            f"`{what}` is {a_kind(container)}; only arrays, strings and objects contain things"
        )
    if type(needle) is not str:
        raise FaultError(
            f"only a string can be looked for in {a_kind(container)}, not {a_kind(needle)}"
        )
    return needle in container


def item(value: Value, key: Value) -> Value:
    """Return the member of an object or array, or NOTHING; strings and scalars have none."""
    if type(value) is dict:
        return value.get(key if type(key) is str else show(key), NOTHING)
    if type(value) is list:
        if type(key) is str and key.isdecimal() and len(key) < len("1000000"):
            key = int(key)
        if type(key) is int and 0 <= key < len(value):
            return value[key]
    return NOTHING


def pointer(value: Value, keys: Sequence[str]) -> Value:
    """Return what the keys lead to inside the value, or NOTHING."""
    for key in keys:
        value = item(value, key)
    return value


def missing(what: str, parent: str, container: Value) -> Missing:
    """Return the Missing for a path that ended in `container`, called `parent` in the message."""
    kind = kind_of(container)
    names = show_names(container) if kind == "object" else ()
    nature = f"an array of {len(container)}" if kind == "array" else WORDS[kind]
    return Missing(what, parent, names, kind if kind == "object" else nature)


def vet(value: JsonValue, max_depth: int, max_nodes: int) -> None:
    """Refuse what is not plain JSON, or too deep or large. Costs about 50 ns a node.

    Raises:
        FaultError: says what kind of thing was found, not its value.
    """
    level: Sequence[Value] = [value]
    seen = 0
    for _ in range(max_depth + 1):
        seen += len(level)
        if seen > max_nodes:
            raise FaultError(f"it has more than {max_nodes} values in it")
        level = _below(level)
        if not level:
            return
    raise FaultError(f"it is nested more than {max_depth} levels deep")


def _below(level: Sequence[Value]) -> list[Value]:
    following: list[Value] = []
    for value in level:
        kind = KINDS.get(type(value))
        if kind == "object":
            if not all(type(key) is str for key in value):
                raise FaultError("it has an object with a key that is no string")
            following.extend(value.values())
        elif kind == "array":
            following.extend(value)
        elif kind is None:
            raise FaultError("it holds something that is not plain JSON")
    return following


NOTHING = Missing("", "", (), "null")
