"""Reads one mapping key by key: the type that is asked for, or a finding and the default.

Never raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from chalicelib.domain.durations import format_duration, parse_duration
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.parse.keys import KNOWN_AS
from chalicelib.domain.parse.report import Report, did_you_mean
from chalicelib.domain.sources import Path
from chalicelib.domain.values import JsonObject, JsonValue

Choice = TypeVar("Choice", bound=StrEnum)


def kind_of(value: JsonValue) -> str:
    """Return what people call the value's type."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


class Reader:
    """One mapping at one path. A key whose value is null counts as absent."""

    def __init__(self, raw: JsonObject, path: Path, report: Report) -> None:
        self.raw, self.path, self.report = raw, path, report

    def at(self, *keys: str | int) -> Path:
        """Return the path of a key below."""
        return (*self.path, *keys)

    def has(self, key: str) -> bool:
        """Say whether the key is there and not null."""
        return self.raw.get(key) is not None

    def missing(self, key: str, fix: str | None = None) -> None:
        """Report a required key that is not there."""
        self.report.error(self.path, f"`{key}` is missing", fix)

    def wrong(self, key: str, wanted: str, fix: str | None = None) -> None:
        """Report a value of the wrong type."""
        found = kind_of(self.raw[key])
        self.report.error(self.at(key), f"`{key}` must be {wanted}, not {found}", fix)

    def text(self, key: str, *, required: bool = False) -> str | None:
        """Return the text, or None."""
        value = self.raw.get(key)
        if isinstance(value, str):
            if required and not value.strip():
                self.report.error(self.at(key), f"`{key}` is empty")
            return value
        if value is None:
            if required:
                self.missing(key, f"add `{key}`")
        else:
            self.wrong(key, "text", in_quotes(key, value))
        return None

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return true or false."""
        value = self.raw.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            # What YAML 1.1 took for false.
            meant = "false" if str(value).lower() in ("no", "off", "n", "false", "0") else "true"
            self.wrong(key, "true or false", f"{key}: {meant}")
        return default

    def whole(self, key: str, low: int, high: int | None = None) -> int | None:
        """Return a whole number within the bounds (both included), or None."""
        value = self.raw.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, "a whole number")
            return None
        if value < low or (high is not None and value > high):
            bounds = f"from {low} to {high}" if high is not None else f"at least {low}"
            self.report.error(self.at(key), f"`{key}` must be {bounds}, not {value}")
            return None
        return value

    def duration(self, key: str, most_s: int) -> int | None:
        """Return seconds, at most `most_s`, or None."""
        value = self.raw.get(key)
        if value is None:
            return None
        try:
            seconds = parse_duration(value)
        except InvalidError as error:
            self.report.error(self.at(key), f"`{key}`: {error.message}")
            return None
        if seconds > most_s:
            reason = (
                f"`{key}` is {format_duration(seconds)}; {format_duration(most_s)} is the most"
            )
            self.report.error(self.at(key), reason)
            return None
        return seconds

    def choice(
        self, key: str, default: Choice, also: Mapping[str, Choice] | None = None
    ) -> Choice:
        """Return the member that the text names; `also` holds further spellings."""
        value = self.raw.get(key)
        if value is None:
            return default
        names = {**{member.value: member for member in type(default)}, **(also or {})}
        if isinstance(value, str) and value in names:
            return names[value]
        self.not_among(key, tuple(names))
        return default

    def word(self, key: str, allowed: Sequence[str]) -> str:
        """Return one of the words; the first is the default."""
        value = self.raw.get(key)
        if value is None:
            return allowed[0]
        if isinstance(value, str) and value in allowed:
            return value
        self.not_among(key, allowed)
        return allowed[0]

    def not_among(self, key: str, allowed: Sequence[str]) -> None:
        """Report a word that is none of the allowed."""
        value = self.raw[key]
        found = json.dumps(value) if isinstance(value, str | int | float) else kind_of(value)
        reason = f"`{key}` must be one of {', '.join(allowed)}, not {found}"
        near = self.report.nearest(value, allowed) if isinstance(value, str) else None
        self.report.error(self.at(key), reason, did_you_mean(near))

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None if the key is absent."""
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            fix = f"{key}: [{json.dumps(value)}]" if isinstance(value, str) else None
            self.wrong(key, "a list of texts", fix)
            return None
        found: list[str] = []
        for index, item in enumerate(value):
            if isinstance(item, str):
                found.append(item)
            else:
                reason = f"`{key}` must hold texts, not {kind_of(item)}"
                self.report.error(self.at(key, index), reason, in_quotes(None, item))
        return tuple(found)

    def text_map(self, key: str) -> dict[str, str]:
        """Return a mapping of texts; empty if the key is absent."""
        found: dict[str, str] = {}
        for name, value in self.object(key).items():
            if isinstance(value, str):
                found[name] = value
            else:
                reason = f"`{name}` in `{key}` must be text, not {kind_of(value)}"
                self.report.error(self.at(key, name), reason, in_quotes(name, value))
        return found

    def object(self, key: str) -> JsonObject:
        """Return a mapping of anything; empty if the key is absent."""
        value = self.raw.get(key)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.wrong(key, "a mapping")
        return {}

    def below(self, key: str) -> Reader | None:
        """Return a reader of the mapping under the key, or None if the key is absent or wrong."""
        if not self.has(key):
            return None
        return Reader(self.object(key), self.at(key), self.report)

    def entries(self, key: str) -> Iterator[tuple[str, Reader]]:
        """Yield a reader for each named mapping under the key."""
        for name, value in self.object(key).items():
            if isinstance(value, dict):
                yield name, Reader(value, self.at(key, name), self.report)
            else:
                reason = f"`{name}` must be a mapping, not {kind_of(value)}"
                self.report.error(self.at(key, name), reason)

    def unknown(self, known: Sequence[str]) -> None:
        """Warn of keys that are not known here, and name the nearest one that is."""
        for key in self.raw:
            if key in known or key.startswith("x-"):
                continue
            alias = KNOWN_AS.get(key)
            near = alias if alias in known else self.report.nearest(key, known)
            place = self.report.place(self.at(key), of_key=True)
            reason = f"`{key}` is not a key of the language here, and is ignored"
            self.report.warning(self.at(key), reason, did_you_mean(near), place)


def in_quotes(key: str | None, value: JsonValue) -> str | None:
    """Return the fix for a number or truth value where text is wanted."""
    if isinstance(value, bool | int | float):
        text = f'"{json.dumps(value)}"'
        return f"write it in quotes: {key}: {text}" if key else f"write it in quotes: {text}"
    return None
