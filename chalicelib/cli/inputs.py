"""Inputs as they are typed: `-i key=value`, a JSON object, a file, or standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import parse_json, say
from chalicelib.domain.values import JsonObject, JsonValue

_TEXTS = frozenset({"string", "text", "date", "datetime"})
_LITERALS = {
    "integer": "a whole number such as 3",
    "number": "a number such as 0.5",
    "boolean": "true or false",
    "bool": "true or false",
}


@dataclass(frozen=True, slots=True)
class Field:
    """What an input's value is read by; a `multiple` one takes several, as in `hosts=a,b`."""

    type: str = "string"
    multiple: bool = False


def read_input(pairs: Sequence[str], whole: str | None, fields: Mapping[str, Field]) -> JsonObject:
    """Return the input that the flags spell; a pair wins over the whole.

    `fields` are the task's, by which `key=value` is read: a number for a number field, text for a
    string. `whole` is a JSON object, `@file`, or `-` for standard input. `key=@file` takes the
    file's text, `key=@@text` is text that begins with `@`.

    Raises:
        CommandError: a flag does not parse, or names no field of the task.
    """
    given = {} if whole is None else _read_whole(whole, fields)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise CommandError(Exit.USAGE, f"-i {pair!r} must have the form key=value")
        if key not in fields:
            raise CommandError(Exit.USAGE, _unknown(key, fields))
        given[key] = _typed(key, _text(text), fields[key])
    return given


def _read_whole(whole: str, fields: Mapping[str, Field]) -> JsonObject:
    value = parse_json(_read(whole), "the input")
    if not isinstance(value, dict):
        raise CommandError(Exit.USAGE, "the input must be a JSON object, such as '{\"a\": 1}'")
    for key in value:
        if key not in fields:
            # Templates may read what no field declares, so it goes through.
            say(f"warning: {_unknown(key, fields)}")
    return value


def _unknown(key: str, fields: Mapping[str, Field]) -> str:
    near = get_close_matches(key, fields, n=1)
    if near:
        return f"the task has no input {key!r}; did you mean {near[0]!r}?"
    there = f"it has: {', '.join(fields)}" if fields else "it has none"
    return f"the task has no input {key!r}; {there}"


def _text(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    return _read_file(text[1:]) if text.startswith("@") else text


def _typed(key: str, text: str, field: Field) -> JsonValue:
    if field.multiple:
        return list(text.split(","))
    if field.type in _LITERALS:
        return _literal(key, text, field.type)
    # Any other type is that of a connection: its name, or a whole one.
    if field.type not in _TEXTS and text.lstrip().startswith("{"):
        value: JsonValue = parse_json(text, f"input {key!r}")  # type: ignore[assignment]  # JSON it is
        return value
    return text


def _literal(key: str, text: str, kind: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, int | float):
        raise CommandError(Exit.USAGE, f"input {key!r} must be {_LITERALS[kind]}, not {text!r}")
    return value


def _read(whole: str) -> str:
    if whole != "-":
        return _read_file(whole[1:]) if whole.startswith("@") else whole
    if sys.stdin.isatty():
        say("type the input as JSON, then Ctrl-D")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise CommandError(Exit.USAGE, f"standard input is not UTF-8: {error}") from None


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(Exit.USAGE, f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(Exit.USAGE, f"{name} is not UTF-8 text") from None
