"""Values that were shown masked, and come back so: each gives way to the value that it stands for.

The one rule: a mask is never taken for a value. Source: HTTP API, "Rerun".
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.errors import InvalidError, Violation
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.template import has_template
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import InputField

REDACTED = "••••••"
_MASKS = frozenset({SECRET_MASK, REDACTED})


def masked(fields: Mapping[str, InputField], values: JsonObject) -> JsonObject:
    """Return inputs as people may see them: what secret fields are given is masked.

    Templates are shown: they say where a secret comes from, not what it is.
    """
    hidden = [
        name
        for name, value in values.items()
        if name in fields and fields[name].secret and not _is_template(value)
    ]
    return {**values, **dict.fromkeys(hidden, SECRET_MASK)}


def _is_template(value: JsonValue) -> bool:
    return isinstance(value, str) and has_template(value)


def restored(given: JsonObject, shown: JsonObject, real: JsonObject) -> JsonObject:
    """Return the given inputs; those that are masked, or come back as shown, as they really are.

    Raises:
        InvalidError: a mask was given where nothing stands that it could mean.
    """
    unknown = tuple(
        Violation("/" + name.replace("~", "~0").replace("/", "~1"), "is masked: give its value")
        for name, value in given.items()
        if _is_mask(value) and name not in real
    )
    if unknown:
        names = ", ".join(violation.pointer[1:] for violation in unknown)
        raise InvalidError(f"the job before this one had no such input: {names}", unknown)
    return {
        name: _restored(value, shown[name], real[name])
        if name in shown and name in real
        else value
        for name, value in given.items()
    }


def _restored(given: JsonValue, shown: JsonValue, real: JsonValue) -> JsonValue:
    if _is_mask(given) or (type(given) is type(shown) and given == shown):
        return real
    match given, shown, real:
        case dict(), dict(), dict():
            return {
                name: _restored(value, shown[name], real[name])
                if name in shown and name in real
                else value
                for name, value in given.items()
            }
        case list(), list(), list() if len(given) == len(shown) == len(real):
            both = zip(shown, real, strict=True)
            return [_restored(value, *pair) for value, pair in zip(given, both, strict=True)]
        case _:
            return given


def _is_mask(value: JsonValue) -> bool:
    return isinstance(value, str) and value in _MASKS
