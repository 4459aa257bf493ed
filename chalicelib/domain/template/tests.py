"""The tables of tests (`x is odd`) and of functions (`range(end=3)`).

The one rule: these functions are all that a template can call; there are no methods.
"""

from __future__ import annotations

import math
from datetime import UTC

from chalicelib.domain.template.limits import MAX_LIST
from chalicelib.domain.template.regex import matches
from chalicelib.domain.template.specs import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Spec,
    TestSpec,
    Tools,
)
from chalicelib.domain.template.values import FaultError, Missing, Value, contains, is_number


def _defined(_: Tools, value: Value) -> bool:
    return type(value) is not Missing


def _undefined(_: Tools, value: Value) -> bool:
    return type(value) is Missing


def _odd(_: Tools, value: float) -> bool:
    return math.fmod(value, 2) != 0


def _even(_: Tools, value: float) -> bool:
    return math.fmod(value, 2) == 0


def _string(_: Tools, value: Value) -> bool:
    return type(value) is str


def _number(_: Tools, value: Value) -> bool:
    return is_number(value)


def _divisibleby(_: Tools, value: float, by: float) -> bool:
    return by != 0 and math.fmod(value, by) == 0


def _iterable(_: Tools, value: Value) -> bool:
    return type(value) is list or type(value) is dict


def _object(_: Tools, value: Value) -> bool:
    return type(value) is dict


def _starting_with(_: Tools, value: str, part: str) -> bool:
    return value.startswith(part)


def _ending_with(_: Tools, value: str, part: str) -> bool:
    return value.endswith(part)


def _containing(tools: Tools, value: Value, part: Value) -> bool:
    if type(value) is not dict:
        tools.meter.weigh(value)
    return contains(value, part, "the value")


def _matching(tools: Tools, value: str, pattern: str) -> bool:
    return matches(pattern, value, tools.meter)


TESTS: dict[str, TestSpec] = {
    "defined": TestSpec(_defined, takes_undefined=True),
    "undefined": TestSpec(_undefined, takes_undefined=True),
    "odd": TestSpec(_odd, NUMBER),
    "even": TestSpec(_even, NUMBER),
    "string": TestSpec(_string),
    "number": TestSpec(_number),
    "divisibleby": TestSpec(_divisibleby, NUMBER, (NUMBER,)),
    "iterable": TestSpec(_iterable),
    "object": TestSpec(_object),
    "starting_with": TestSpec(_starting_with, STRING, (STRING,)),
    "ending_with": TestSpec(_ending_with, STRING, (STRING,)),
    "containing": TestSpec(_containing, STRING | ARRAY | OBJECT, (ANY,)),
    "matching": TestSpec(_matching, STRING, (STRING,)),
}


def _range(tools: Tools, *, end: int, start: int = 0, step_by: int = 1) -> list[int]:
    if start < 0 or step_by < 1 or end < start:
        raise FaultError("the function `range` counts up from 0 or more, by 1 or more")
    numbers = range(start, end, step_by)
    if end - start > MAX_LIST * step_by:
        raise FaultError(f"the function `range` gives at most {MAX_LIST} numbers")
    tools.meter.array(len(numbers))
    return list(numbers)


def _now(tools: Tools, *, utc: bool = False, timestamp: bool = False) -> str | int:
    if tools.functions.now is None:
        raise FaultError("the function `now` cannot be used here: no clock is connected")
    at = tools.functions.now()
    if at.tzinfo is None or utc:
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp()) if timestamp else at.isoformat()


def _throw(_: Tools, *, message: str) -> Value:
    raise FaultError(message[:1000])


def _get_random(tools: Tools, *, end: int, start: int = 0) -> int:
    if tools.functions.random_int is None:
        raise FaultError(
            "the function `get_random` cannot be used here: no source of chance is connected"
        )
    if end <= start:
        raise FaultError("the function `get_random` wants an `end` above its `start`")
    return tools.functions.random_int(start, end - 1)


FUNCTIONS: dict[str, Spec] = {
    "range": Spec(_range, ANY, {"end": INTEGER}, {"start": INTEGER, "step_by": INTEGER}),
    "now": Spec(_now, ANY, {}, {"utc": BOOLEAN, "timestamp": BOOLEAN}),
    "throw": Spec(_throw, ANY, {"message": STRING}),
    "get_random": Spec(_get_random, ANY, {"end": INTEGER}, {"start": INTEGER}),
}
REFUSED_FUNCTIONS = {
    "get_env": (
        "the function `get_env` is not supported: it would read the environment of the engine, "
        "not of your workspace; put the value into `secrets`, or read it in the script"
    ),
}
