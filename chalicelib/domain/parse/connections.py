"""Connection types and connections: declared fields, defaults filled in.

Source: workflow language, section 1.4.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.parse.fields import PRIMITIVES, RESERVED_TYPES, named
from chalicelib.domain.parse.keys import CONNECTION_FIELD
from chalicelib.domain.parse.reader import Reader
from chalicelib.domain.parse.report import did_you_mean
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Connection, ConnectionField

Types = Mapping[str, Mapping[str, ConnectionField]]


def parse_connection_types(root: Reader) -> dict[str, dict[str, ConnectionField]]:
    """Return the types under `connection_types`."""
    found: dict[str, dict[str, ConnectionField]] = {}
    types = Reader(root.object("connection_types"), root.at("connection_types"), root.report)
    for name, below in named(root, "connection_types"):
        if name in RESERVED_TYPES:
            place = root.report.place(below.path, of_key=True)
            reason = f"`{name}` is the name of a built-in type"
            root.report.error(below.path, reason, "choose another name", place)
        found[name] = {key: _parse_field(field) for key, field in types.entries(name)}
    return found


def parse_connections(root: Reader, types: Types) -> dict[str, Connection]:
    """Return the connections under `connections`, checked against their types."""
    found: dict[str, Connection] = {}
    for key, below in named(root, "connections"):
        kind = below.text("type")
        values: JsonObject = {name: v for name, v in below.raw.items() if name != "type"}
        if kind is not None:
            values = _checked(below, kind, values, types)
        found[key] = Connection(key=key, type=kind, values=values)
    return found


def _checked(reader: Reader, kind: str, values: JsonObject, types: Types) -> JsonObject:
    fields = types.get(kind)
    if fields is None:
        _unknown_type(reader, kind, types)
        return values
    for name in values:
        if name not in fields:
            near = reader.report.nearest(name, fields)
            reason = f"`{name}` is not a field of the connection type `{kind}`"
            place = reader.report.place(reader.at(name), of_key=True)
            reader.report.warning(reader.at(name), reason, did_you_mean(near), place)
        elif values[name] == "":
            reader.report.error(reader.at(name), f"`{name}` is empty")
    defaults = {name: field.default for name, field in fields.items() if field.has_default}
    for name, field in fields.items():
        if field.required and values.get(name, defaults.get(name)) is None:
            reader.missing(name, f"the connection type `{kind}` requires it")
    return {**defaults, **values}


def _unknown_type(reader: Reader, kind: str, types: Types) -> None:
    if "." in kind:
        reason = f"the type `{kind}` is of a library and cannot be checked here"
        reader.report.warning(reader.at("type"), reason)
        return
    near = did_you_mean(reader.report.nearest(kind, types))
    fix = near or "declare it under `connection_types`, or leave `type` out"
    reader.report.error(reader.at("type"), f"there is no connection type `{kind}`", fix)


def _parse_field(reader: Reader) -> ConnectionField:
    reader.unknown(CONNECTION_FIELD)
    kind = reader.word("type", PRIMITIVES)
    return ConnectionField(
        type="boolean" if kind == "bool" else kind,
        required=reader.flag("required"),
        has_default="default" in reader.raw,
        default=reader.raw.get("default"),
        secret=reader.flag("secret"),
        description=reader.text("description"),
    )
