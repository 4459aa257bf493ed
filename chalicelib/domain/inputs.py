"""Check the inputs of a job against what its task declares, and complete them.

Values are checked, never converted: a string stays a string. All violations are reported at once.
Source: workflow language, section 1.3; decision 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from chalicelib.domain.errors import InvalidError, Violation
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.template import has_template
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Connection, Definition, InputField


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """Inputs that passed.

    In `shown`, the values of secret fields are masked; `secret` has them.
    """

    shown: JsonObject
    secret: JsonObject


def check_input(
    fields: Mapping[str, InputField], given: JsonObject, definition: Definition
) -> CheckedInput:
    """Return the given values with the defaults filled in.

    Defaults that are templates are left out: they are rendered when a step is claimed, so that
    what they read (secrets) is never stored. Inputs that no field declares pass through.

    Raises:
        InvalidError: with one violation for each field that is wrong.
    """
    values = {**_plain_defaults(fields), **given}
    violations = [
        Violation("/" + _escaped(name), problem)
        for name, field in fields.items()
        for problem in [_problem(field, name, values, definition)]
        if problem
    ]
    if violations:
        listed = "; ".join(f"{v.pointer[1:]}: {v.message}" for v in violations)
        raise InvalidError(f"the input does not fit the task: {listed}", tuple(violations))
    secret = {key: values[key] for key, field in fields.items() if field.secret and key in values}
    return CheckedInput({**values, **dict.fromkeys(secret, SECRET_MASK)}, secret)


def _plain_defaults(fields: Mapping[str, InputField]) -> JsonObject:
    return {
        name: field.default
        for name, field in fields.items()
        if field.has_default
        and not (isinstance(field.default, str) and has_template(field.default))
    }


def _problem(
    field: InputField, name: str, values: JsonObject, definition: Definition
) -> str | None:
    value = values.get(name)
    if value is None:
        missing = field.required and not field.has_default
        return "is required" if missing else None
    if field.multiple:
        return _problem_of_choices(field, value)
    check = _CHECKS.get(field.type)
    if check is None:
        return _problem_of_connection(field.type, value, definition.connections)
    if not check(value):
        return f"must be {_EXPECTED[field.type]}, not {_kind(value)}"
    return _problem_of_option(field, value)


def _problem_of_choices(field: InputField, value: JsonValue) -> str | None:
    if not isinstance(value, list):
        return f"must be a list of options, not {_kind(value)}"
    for item in value:
        if not isinstance(item, str):
            return f"must be a list of strings; it holds {_kind(item)}"
        problem = _problem_of_option(field, item)
        if problem:
            return problem
    return None


def _problem_of_option(field: InputField, value: JsonValue) -> str | None:
    if not field.options or field.allow_custom or str(value) in field.options:
        return None
    return f"must be one of: {', '.join(field.options)}"


def _problem_of_connection(
    wanted: str, value: JsonValue, connections: Mapping[str, Connection]
) -> str | None:
    if isinstance(value, dict):
        return None
    if not isinstance(value, str):
        return f"must be the name of a connection of type {wanted}, not {_kind(value)}"
    connection = connections.get(value)
    if connection is None:
        names = ", ".join(key for key, c in connections.items() if c.type == wanted)
        return f"names no connection: there is no {value!r}; of type {wanted}: {names or 'none'}"
    if connection.type != wanted:
        return f"connection {value!r} is of type {connection.type}, not {wanted}"
    return None


def _is_date(value: JsonValue) -> bool:
    return _parses(date.fromisoformat, value)


def _is_datetime(value: JsonValue) -> bool:
    return _parses(datetime.fromisoformat, value)


def _parses(parse: Callable[[str], object], value: JsonValue) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _is_string(value: JsonValue) -> bool:
    return isinstance(value, str)


def _is_integer(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_boolean(value: JsonValue) -> bool:
    return isinstance(value, bool)


_CHECKS: dict[str, Callable[[JsonValue], bool]] = {
    "string": _is_string,
    "text": _is_string,
    "integer": _is_integer,
    "number": _is_number,
    "boolean": _is_boolean,
    "bool": _is_boolean,
    "date": _is_date,
    "datetime": _is_datetime,
}
_EXPECTED = {
    "string": "a string",
    "text": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "bool": "true or false",
    "date": "a date such as 2026-11-21",
    "datetime": "a date and time such as 2026-11-21T08:00:00Z",
}


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
