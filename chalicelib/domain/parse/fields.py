"""Input fields, output fields, retry rules and names.

What actions, tasks and steps have in common.

Source: workflow language, sections 1.3 and 1.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chalicelib.domain.parse.keys import INPUT_FIELD, OUTPUT_FIELD, RETRY
from chalicelib.domain.parse.reader import Reader
from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import Backoff, InputField, OutputField, Retry

MAX_ATTEMPTS = 10
MAX_RETRY_DELAY_S = 3600
PRIMITIVES = (
    "string",
    "text",
    "integer",
    "number",
    "boolean",
    "bool",
    "date",
    "datetime",
)
OUTPUT_TYPES = ("string", "integer", "number", "boolean", "array", "object")
RESERVED_TYPES = frozenset({*PRIMITIVES, "array", "object"})
_ALIASES = {"bool": "boolean", "int": "integer"}
_NAME = re.compile(r"\w[\w-]{0,99}")


def named(reader: Reader, key: str) -> Iterator[tuple[str, Reader]]:
    """Yield the mappings under the key, complaining of names that could not be told apart from
    syntax.

    `[ ] . : / #` have meanings of their own in loops, libraries, hidden actions, URLs and ids.
    """
    for name, below in reader.entries(key):
        check_name(below, name)
        yield name, below


def check_name(reader: Reader, name: str) -> None:
    """Complain of a name that is not 1 to 100 letters, digits, `_` and `-`."""
    if not _NAME.fullmatch(name):
        place = reader.report.place(reader.path, of_key=True)
        rule = "letters, digits, `_` and `-`, at most 100, no `-` first"
        reason = f"`{name[:100]}` is not a name: {rule}"
        fix = re.sub(r"[^\w-]+", "_", name).strip("-_")[:100]
        reader.report.error(reader.path, reason, f"call it `{fix}`" if fix else None, place)


def parse_retry(reader: Reader) -> Retry | None:
    """Return the retry rule under `retry`, or None if there is none."""
    times = reader.raw.get("retry")
    if isinstance(times, int):
        reader.wrong("retry", "a mapping", f"retry: {{ max_attempts: {times} }}")
        return None
    below = reader.below("retry")
    if below is None:
        return None
    below.unknown(RETRY)
    attempts = below.whole("max_attempts", 1, MAX_ATTEMPTS)
    delay = below.duration("delay", MAX_RETRY_DELAY_S)
    plain = Retry()
    return Retry(
        max_attempts=plain.max_attempts if attempts is None else attempts,
        delay_s=plain.delay_s if delay is None else delay,
        backoff=below.choice("backoff", Backoff.FIXED),
        jitter=below.flag("jitter"),
    )


def parse_inputs(reader: Reader) -> dict[str, InputField]:
    """Return the fields under `input`."""
    return {name: parse_input(below) for name, below in reader.entries("input")}


def parse_input(reader: Reader) -> InputField:
    """Return one input field. Whether a connection type of that name exists is for `validate`."""
    reader.unknown(INPUT_FIELD)
    found = InputField(
        type=_type_of(reader),
        name=reader.text("name"),
        description=reader.text("description"),
        required=reader.flag("required"),
        secret=reader.flag("secret"),
        has_default="default" in reader.raw,
        default=reader.raw.get("default"),
        options=reader.texts("options") or (),
        allow_custom=reader.flag("allow_custom"),
        multiple=reader.flag("multiple"),
        order=reader.whole("order", -(10**6), 10**6),
    )
    _check_choices(reader, found)
    return found


def _type_of(reader: Reader) -> str:
    written = reader.text("type") or "string"
    if written == "int":
        reason = "`int` is the older name of a type"
        reader.report.warning(reader.at("type"), reason, "type: integer")
    return _ALIASES.get(written, written)


def _check_choices(reader: Reader, found: InputField) -> None:
    report = reader.report
    if found.allow_custom and not found.options:
        report.warning(reader.at("allow_custom"), "`allow_custom` does nothing without `options`")
    if not found.multiple:
        return
    at = reader.at("multiple")
    if found.type not in ("string", "text"):
        report.error(at, f"`multiple` needs type string or text, not {found.type}")
    if not found.options:
        report.error(at, "`multiple` needs `options`", "list the choices: options: [a, b]")
    if found.secret:
        report.error(at, "`multiple` cannot be `secret`")
    if found.has_default and not isinstance(found.default, list):
        report.error(reader.at("default"), "the default of a `multiple` input must be a list")


def parse_outputs(reader: Reader) -> dict[str, OutputField]:
    """Return the fields under `output`; the older form keeps them under `output.properties`."""
    below = reader.below("output")
    if below is None:
        return {}
    holder, key = reader, "output"
    if set(below.raw) == {"properties"} and _holds_fields(below.raw["properties"]):
        reason = "`output.properties` is the older form"
        reader.report.warning(below.at("properties"), reason, "move its entries up, to `output`")
        holder, key = below, "properties"
    return {name: _parse_output(field) for name, field in holder.entries(key)}


def _holds_fields(value: JsonValue) -> bool:
    return isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())


def _parse_output(reader: Reader) -> OutputField:
    reader.unknown(OUTPUT_FIELD)
    kind = _type_of(reader)
    if reader.has("type") and kind not in OUTPUT_TYPES and isinstance(reader.raw["type"], str):
        reader.not_among("type", OUTPUT_TYPES)
    return OutputField(
        type=kind,
        description=reader.text("description"),
        required=reader.flag("required"),
        has_default="default" in reader.raw,
        default=reader.raw.get("default"),
        options=reader.texts("options") or (),
    )
