"""What comes in: JSON bodies and queries, checked before anything else looks at them.

One rule: what is wrong with a request is an InvalidError that points at the place.
Source: security, S22.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from chalicelib.domain.errors import InvalidError, TooLargeError, Violation

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 50

Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """A request body. Members that it does not name are ignored: other clients may send more."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class OwnBody(BaseModel):
    """A body of a route that only our clients know: a misspelt member is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Query(BaseModel):
    """A query string: texts, converted. Parameters that it does not name are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def read_body(model: type[Model], raw: bytes, max_bytes: int) -> Model:
    """Return the body; an empty one counts as `{}`.

    Raises:
        TooLargeError: more than `max_bytes`.
        InvalidError: no JSON, deeper than 50 levels, or not what the model asks for.
    """
    check_size(raw, max_bytes)
    if not raw.strip():
        raw = b"{}"
    checked_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _invalid("the body is not valid", error) from None


def check_size(raw: bytes, max_bytes: int) -> None:
    """Raise TooLargeError if there are more than `max_bytes`."""
    if len(raw) > max_bytes:
        raise TooLargeError(f"the body has {len(raw)} bytes, the limit is {max_bytes}")


def read_query(model: type[Model], given: Mapping[str, str]) -> Model:
    """Return the query's parameters.

    Raises:
        InvalidError: one violation for each that is wrong.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise _invalid("the query is not valid", error) from None


def checked_json(raw: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the value that the text spells.

    Raises:
        InvalidError: no JSON, or deeper than 50 levels.
    """
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InvalidError(f"the body is not JSON: {why}") from None
    if _depth(value) > MAX_DEPTH:
        raise InvalidError(f"the body is nested more than {MAX_DEPTH} levels deep")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _depth(value: Any) -> int:  # noqa: ANN401 - JSON
    """Return how deep the value is nested, without recursion."""
    deepest, level = 0, [value]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return deepest


def _invalid(what: str, error: ValidationError) -> InvalidError:
    violations = tuple(
        Violation(
            "".join(f"/{_escaped(str(part))}" for part in found["loc"]),
            found["msg"],
        )
        for found in error.errors(include_url=False, include_input=False, include_context=False)
    )
    listed = "; ".join(f"{v.pointer or '/'}: {v.message}" for v in violations[:5])
    return InvalidError(f"{what}: {listed}", violations)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
