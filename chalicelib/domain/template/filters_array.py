"""Filters on arrays and objects. The one rule: what is handed in is never changed, only copied."""

from __future__ import annotations

from typing import cast

from chalicelib.domain.template.filters_text import translated
from chalicelib.domain.template.limits import NODES_PER_UNIT
from chalicelib.domain.template.specs import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Spec,
    Tools,
)
from chalicelib.domain.template.values import (
    FaultError,
    Missing,
    Value,
    a_kind,
    kind_of,
    pointer,
    same,
    show,
    show_names,
    to_json,
)

MAX_ATTRIBUTE = 16
_TEXT_OR_ARRAY = STRING | ARRAY


def _first(_: Tools, value: list[Value]) -> Value:
    return value[0] if value else ""


def _last(_: Tools, value: list[Value]) -> Value:
    return value[-1] if value else ""


def _nth(_: Tools, value: list[Value], *, n: int) -> Value:
    if n < 0:
        raise FaultError("the argument `n` of the filter `nth` must not be negative")
    return value[n] if n < len(value) else ""


def _join(tools: Tools, value: list[Value], *, sep: str = "") -> str:
    texts = [show(each) for each in value]
    between = translated(sep)
    tools.meter.text(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _keys(tools: Tools, value: list[Value], attribute: str | None) -> list[str]:
    """Return the steps of a dotted attribute, and charge for taking them on every item."""
    keys = attribute.split(".", MAX_ATTRIBUTE) if attribute else []
    if len(keys) > MAX_ATTRIBUTE:
        raise FaultError(f"an `attribute` has at most {MAX_ATTRIBUTE} names with dots between")
    tools.meter.charge(len(value) * len(keys) // NODES_PER_UNIT)
    tools.meter.array(len(value))
    return keys


def _comparable(value: list[Value], path: list[str], who: str) -> list[Value]:
    """Return what each item is compared by, all of one kind."""
    keys = [pointer(each, path) for each in value]
    kinds = set()
    for key in keys:
        if type(key) is Missing:
            raise FaultError(f"the filter `{who}` finds no `{'.'.join(path)}` in one of the items")
        kinds.add("float" if kind_of(key) == "integer" else kind_of(key))
    if len(kinds) > 1:
        raise FaultError(f"the filter `{who}` cannot compare items of different kinds")
    if kinds & {"null", "object"}:
        raise FaultError(f"the filter `{who}` cannot compare {a_kind(keys[0])}")
    return keys


def _sort(tools: Tools, value: list[Value], *, attribute: str | None = None) -> list[Value]:
    keys = _comparable(value, _keys(tools, value, attribute), "sort")
    if keys and type(keys[0]) is list:
        keys = [len(key) for key in keys]
    order = sorted(range(len(value)), key=keys.__getitem__)
    return [value[at] for at in order]


def _unique(
    tools: Tools, value: list[Value], *, attribute: str | None = None, case_sensitive: bool = False
) -> list[Value]:
    path = _keys(tools, value, attribute)
    present = [each for each in value if type(pointer(each, path)) is not Missing]
    keys = _comparable(present, path, "unique")
    if keys and type(keys[0]) is list:
        raise FaultError("the filter `unique` cannot compare an array")
    kept: dict[Value, Value] = {}
    for key, each in zip(keys, present, strict=True):
        folded = key.lower() if type(key) is str and not case_sensitive else key
        kept.setdefault(folded, each)
    return list(kept.values())


def _slice(
    tools: Tools, value: list[Value], *, start: float = 0, end: float | None = None
) -> list[Value]:
    size = len(value)
    first = max(0, int(start if start >= 0 else size + start))
    after = size if end is None else int(end if end >= 0 else size + end)
    after = min(size, max(0, after))
    tools.meter.array(max(0, after - first))
    return value[first:after]


def _group_by(tools: Tools, value: list[Value], *, attribute: str) -> dict[str, Value]:
    path = _keys(tools, value, attribute)
    groups: dict[str, list[Value]] = {}
    for each in value:
        key = pointer(each, path)
        if type(key) is Missing or key is None:
            continue
        name = to_json(key) if type(key) in (list, dict) else show(key)
        groups.setdefault(name, []).append(each)
    return cast("dict[str, Value]", groups)


def _filter(
    tools: Tools, value: list[Value], *, attribute: str, value_: Value = None
) -> list[Value]:
    path = _keys(tools, value, attribute)
    found = ((each, pointer(each, path)) for each in value)
    if value_ is None:
        return [each for each, has in found if type(has) is not Missing and has is not None]
    tools.meter.weigh(value_)
    return [each for each, has in found if type(has) is not Missing and same(has, value_)]


def _map(tools: Tools, value: list[Value], *, attribute: str) -> list[Value]:
    path = _keys(tools, value, attribute)
    found = (pointer(each, path) for each in value)
    return [has for has in found if type(has) is not Missing and has is not None]


def _concat(tools: Tools, value: list[Value], *, with_: Value) -> list[Value]:
    added = with_ if type(with_) is list else [with_]
    tools.meter.array(len(value) + len(added))
    return [*value, *added]


def _length(_: Tools, value: Value) -> int:
    return len(value)


def _reverse(tools: Tools, value: Value) -> Value:
    if type(value) is list:
        tools.meter.array(len(value))
    return value[::-1]


def _get(_: Tools, value: dict[str, Value], *, key: str, default: Value = None) -> Value:
    if key in value:
        return value[key]
    if default is None:
        names = ", ".join(show_names(value)) or "nothing"
        raise FaultError(f"the filter `get` finds no such key; the object has: {names}")
    return default


ARRAY_FILTERS: dict[str, Spec] = {
    "first": Spec(_first, ARRAY),
    "last": Spec(_last, ARRAY),
    "nth": Spec(_nth, ARRAY, {"n": INTEGER}),
    "join": Spec(_join, ARRAY, {}, {"sep": STRING}, deep=True),
    "sort": Spec(_sort, ARRAY, {}, {"attribute": STRING}, deep=True),
    "unique": Spec(
        _unique, ARRAY, {}, {"attribute": STRING, "case_sensitive": BOOLEAN}, deep=True
    ),
    "slice": Spec(_slice, ARRAY, {}, {"start": NUMBER, "end": NUMBER}),
    "group_by": Spec(_group_by, ARRAY, {"attribute": STRING}, deep=True),
    "filter": Spec(_filter, ARRAY, {"attribute": STRING}, {"value": ANY}, deep=True),
    "map": Spec(_map, ARRAY, {"attribute": STRING}),
    "concat": Spec(_concat, ARRAY, {"with": ANY}),
    "length": Spec(_length, STRING | ARRAY | OBJECT),
    "reverse": Spec(_reverse, _TEXT_OR_ARRAY),
    "get": Spec(_get, OBJECT, {"key": STRING}, {"default": ANY}),
}
