"""The table of all filters, and those on numbers and on values of any kind.

The one rule: a filter sees plain values and the meter, never the context, and calls nothing that
it is given.
"""

from __future__ import annotations

import math
import re

from chalicelib.domain.template.dates import read_time, render_time
from chalicelib.domain.template.filters_array import ARRAY_FILTERS
from chalicelib.domain.template.filters_text import TEXT_FILTERS
from chalicelib.domain.template.specs import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Spec,
    Tools,
)
from chalicelib.domain.template.values import FaultError, Missing, Value, show, to_json

REF_PREFIX = "ref+"
MAX_INTEGER = 2**63 - 1
MAX_NUMERAL = 400
MAX_PRECISION = 15
DIRECTIVE_UNITS = 8
_BASE_PREFIX = {2: "0b", 8: "0o", 16: "0x"}
_NUMERAL = re.compile(r"[+-]?[0-9a-zA-Z]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ROUNDING = {
    "ceil": math.ceil,
    "floor": math.floor,
    "common": lambda x: math.copysign(math.floor(abs(x) + 0.5), x),
}


def _whole(value: float, otherwise: int) -> int:
    return int(value) if math.isfinite(value) and abs(value) <= MAX_INTEGER else otherwise


def _int(_: Tools, value: Value, *, default: int = 0, base: int = 10) -> int:
    if not 2 <= base <= 36:  # noqa: PLR2004 - what digits and letters can write
        raise FaultError("the argument `base` of the filter `int` must be from 2 to 36")
    if type(value) is not str:
        return _whole(value, default)
    text = value.strip()[:MAX_NUMERAL]
    sign = "-" if text.startswith("-") else ""
    digits = sign + text.lstrip("+-").removeprefix(_BASE_PREFIX.get(base, "\0"))
    if _NUMERAL.fullmatch(digits):
        try:
            return _whole(int(digits, base), default)
        except ValueError:
            return default
    return _whole(float(text), default) if _DECIMAL.fullmatch(text) else default


def _float(_: Tools, value: Value, *, default: float = 0.0) -> float:
    if type(value) is not str:
        return float(value)
    text = value.strip()[:MAX_NUMERAL]
    number = float(text) if _DECIMAL.fullmatch(text) else float(default)
    return number if math.isfinite(number) else float(default)


def _abs(_: Tools, value: float) -> float:
    return abs(value)


def _pluralize(_: Tools, value: float, *, singular: str = "", plural: str = "s") -> str:
    return singular if abs(value) == 1 else plural


def _round(_: Tools, value: float, *, method: str = "common", precision: int = 0) -> float:
    if method not in _ROUNDING:
        raise FaultError("the argument `method` of the filter `round` is common, ceil or floor")
    if abs(precision) > MAX_PRECISION:
        raise FaultError(
            f"the argument `precision` of the filter `round` is up to {MAX_PRECISION}"
        )
    if type(value) is int and precision >= 0:
        return value
    scale = 10.0**precision
    rounded = _ROUNDING[method](value * scale) / scale
    return int(rounded) if rounded.is_integer() else rounded


def _filesizeformat(_: Tools, value: int, *, binary: bool = False) -> str:
    if value < 0:
        raise FaultError("the filter `filesizeformat` wants a size that is not negative")
    units = (
        ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
        if binary
        else ("kB", "MB", "GB", "TB", "PB", "EB")
    )
    size, unit = float(value), "B"
    for larger in units:
        if size < 1024:  # noqa: PLR2004 - both tables count in 1024s
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if size.is_integer() else f"{size:.2f} {unit}"


def _date(
    tools: Tools,
    value: Value,
    *,
    format_: str = "%Y-%m-%d",
    timezone: str | None = None,
) -> str:
    tools.meter.charge(DIRECTIVE_UNITS * format_.count("%"))
    return render_time(read_time(value, timezone), format_)


def _json_encode(_: Tools, value: Value, *, pretty: bool = False) -> str:
    return to_json(value, pretty=pretty)


def _as_str(_: Tools, value: Value) -> str:
    return show(value)


def _default(_: Tools, value: Value, *, value_: Value) -> Value:
    return value_ if type(value) is Missing or value is None else value


def _safe(_: Tools, value: Value) -> Value:
    return value


def _vals(tools: Tools, value: Value) -> Value:
    if type(value) is not str or not value.startswith(REF_PREFIX):
        return value
    if tools.functions.resolve_ref is None:
        raise FaultError("a `ref+` value cannot be resolved here; no secret back-end is connected")
    return tools.functions.resolve_ref(value)


FILTERS: dict[str, Spec] = {
    **TEXT_FILTERS,
    **ARRAY_FILTERS,
    "int": Spec(_int, STRING | NUMBER, {}, {"default": INTEGER, "base": INTEGER}),
    "float": Spec(_float, STRING | NUMBER, {}, {"default": NUMBER}),
    "abs": Spec(_abs, NUMBER),
    "pluralize": Spec(_pluralize, NUMBER, {}, {"singular": STRING, "plural": STRING}),
    "round": Spec(_round, NUMBER, {}, {"method": STRING, "precision": INTEGER}),
    "filesizeformat": Spec(_filesizeformat, INTEGER, {}, {"binary": BOOLEAN}),
    "date": Spec(_date, STRING | INTEGER, {}, {"format": STRING, "timezone": STRING}),
    "json_encode": Spec(_json_encode, ANY, {}, {"pretty": BOOLEAN}, deep=True),
    "as_str": Spec(_as_str, ANY, deep=True),
    "default": Spec(_default, ANY, {"value": ANY}),
    "safe": Spec(_safe),
    "vals": Spec(_vals),
}
