"""Inputs as they are typed: `-i key=value`, a JSON object, a file, or standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import parse_json
from chalicelib.domain.values import JsonObject, JsonValue

_PLAIN = frozenset({"string", "text", "date", "datetime"})


def read_input(
    pairs: Sequence[str], whole: str | None, types: Mapping[str, str], choices: frozenset[str]
) -> JsonObject:
    """Return the input that the flags spell; a pair wins over the whole.

    `types` are the task's input fields, by which `key=value` is read: a number for a number field,
    text for a string. `choices` are the fields that take several, as in `hosts=a,b`. `whole` is a
    JSON object, `@file`, or `-` for standard input. `key=@file` takes the file's text.

    Raises:
        CommandError: a flag does not parse, or names no field of the task.
    """
    given: JsonObject = {}
    if whole is not None:
        value = parse_json(_read(whole), "the input")
        if not isinstance(value, dict):
            raise CommandError(Exit.USAGE, "the input must be a JSON object, such as '{\"a\": 1}'")
        given.update(value)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise CommandError(Exit.USAGE, f"-i {pair!r} must have the form key=value")
        _check_name(key, types)
        if text.startswith("@"):
            text = _read_file(text[1:])
        if key in choices:
            given[key] = list(text.split(","))
        else:
            given[key] = _typed(key, text, types.get(key))
    return given


def _check_name(key: str, types: Mapping[str, str]) -> None:
    if key in types or not types:
        return
    near = get_close_matches(key, types, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(types)}"
    raise CommandError(Exit.USAGE, f"the task has no input {key!r}; {hint}")


def _typed(key: str, text: str, kind: str | None) -> JsonValue:
    if kind is None or kind in _PLAIN or kind not in ("integer", "number", "boolean", "bool"):
        return text
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        raise CommandError(Exit.USAGE, f"input {key!r} is of type {kind}, not {text!r}") from None
    return value


def _read(whole: str) -> str:
    if whole == "-":
        return sys.stdin.read()
    return _read_file(whole[1:]) if whole.startswith("@") else whole


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(Exit.USAGE, f"cannot read {name}: {error}") from None
