"""Bodies that are wrong: from a route's own model one that is right, and then everything but.

One rule: the same random generator gives the same bodies.
"""

from __future__ import annotations

import copy
import json

DEEP = 60
_UUID = "0194f2a0-0000-7000-8000-000000000000"
_BY_FORMAT = {
    "uuid": _UUID,
    "date-time": "2026-11-21T00:00:00Z",
    "date": "2026-11-21",
    "binary": "YQ==",
}
_PLAIN = {"string": "x", "integer": 1, "number": 1.5, "boolean": True, "null": None}
# Of every JSON type one that is odd for it; what a place asks for may be among them.
ODD = (
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    -(2**200),
    1e308,
    "",
    " ",
    "x",
    "\x00",
    "\ud800",
    "a" * 70_000,
    "é" * 300,
    "../../etc/passwd",
    "{{ 7 * 7 }}",
    "{{ secret.API }}",
    "'; DROP TABLE jobs; --",
    "9999-99-99T99:99:99Z",
    "10000-01-01T00:00:00+99:00",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "\u202e\u0000\u2028",
    "-0",
    [],
    [[]],
    [None] * 1000,
    {},
    {"": ""},
    {"$ref": "#"},
    {"__proto__": {"is_admin": True}},
    {"x" * 3000: 1},
)
# What no program that writes JSON makes.
RAW = (
    b"",
    b" ",
    b"{",
    b"}",
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}{}",
    b"{'a': 1}",
    b"{a: 1}",
    b'{"a": 1,}',
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b"NaN",
    b'{"a": 1e99999}',
    b'{"a": 01}',
    b'{"a": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"a": "\\x41"}',
    b'{"a": "\xff\xfe"}',
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"\x00",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    b"[" * 100_000,
    b'{"a":' * 5_000,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"a": ' + b"9" * 5_000 + b"}",
    b'{"a": "' + b"x" * 1_100_000 + b'"}',
    b"a=b&c=%ff",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
)
# What no form sends.
FORMS = (
    b"",
    b"&&&==",
    b"=",
    b"%",
    b"email=%ff&password=%ed%a0%80&decision=allow",
    b"user_code=%00&email=%00&password=%00&decision=allow",
    b"email=a&email=b&password=&user_code=<script>&decision=",
    b"&".join(b"a%d=1" % number for number in range(60)),
    b"&".join(b"a=%d" % number for number in range(1100)),
    b"decision=allow&user_code=" + b"x" * 9_000,
    b"decision=deny&email=%s&password=x&user_code=AAAA-AAAA" % ("é" * 400).encode(),
    b"rejection_reason=" + b"%0d%0a" * 400,
    b'{"email": "a"}',
    b"\xff\xfe\x00",
    b"a" * 1_100_000,
)


def sample(model):
    """A body that the model takes, with every member that it names."""
    schema = model.model_json_schema()
    return _of(schema, schema.get("$defs", {}), 0)


def _of(schema, defs, depth):
    if "$ref" in schema:
        return _of(defs[schema["$ref"].rpartition("/")[2]], defs, depth + 1)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _of(schema[several][0], defs, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        inner = schema.get("properties", {}) if depth < 8 else {}
        return {name: _of(one, defs, depth + 1) for name, one in inner.items()}
    if kind == "array":
        return [_of(schema["items"], defs, depth + 1)] if schema.get("items") else []
    text = _BY_FORMAT.get(schema.get("format"), _PLAIN[kind])
    least = schema.get("minLength", 0)
    return max(schema.get("minimum", 1), 1) if kind == "integer" else _long(text, least)


def _long(value, least):
    return value + "x" * (least - len(value)) if isinstance(value, str) else value


def pointers(value, at=()):
    """Every place in the value, the whole first."""
    yield at
    if isinstance(value, dict):
        for name, one in value.items():
            yield from pointers(one, (*at, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from pointers(one, (*at, index))


def spoiled(rng, right):
    """A name of what was done, and the bytes of a body that it was done to."""
    how = rng.choice(("raw", "wrong", "wrong", "wrong", "missing", "extra", "deep", "cut"))
    if how == "raw":
        number = rng.randrange(len(RAW))
        return f"raw {number}", RAW[number]
    body, at = copy.deepcopy(right), rng.choice(list(pointers(right)))
    if how == "wrong":
        number = rng.randrange(len(ODD))
        return f"{at} = odd {number}", _bytes(_put(body, at, ODD[number]))
    if how == "missing":
        return f"{at} missing", _bytes(_without(body, at))
    if how == "extra":
        more = {f"extra{rng.randrange(3)}": rng.choice(ODD), "is_admin": True}
        return "extra members", _bytes({**body, **more} if isinstance(body, dict) else body)
    if how == "deep":
        deep = 1
        for _ in range(DEEP):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        return f"{at} deep", _bytes(_put(body, at, deep))
    whole = _bytes(body)
    return "cut", whole[: rng.randrange(len(whole))] + rng.choice((b"", b"\xff", b"}", b"\x00"))


def _bytes(value):
    return json.dumps(value).encode()


def _put(value, at, new):
    if not at:
        return copy.deepcopy(new)
    holder = value
    for part in at[:-1]:
        holder = holder[part]
    holder[at[-1]] = copy.deepcopy(new)
    return value


def _without(value, at):
    if not at:
        return None
    holder = value
    for part in at[:-1]:
        holder = holder[part]
    del holder[at[-1]]
    return value
