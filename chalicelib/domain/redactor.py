"""Hides known texts in what is shown or kept: every occurrence gives way to dots.

The one rule: a part of a secret that overlaps another one is hidden with it. Pure, and for whole
texts; streams, and all spellings of a secret, are for `needles`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chalicelib.domain.masks import REDACTED
from chalicelib.domain.references import is_reference
from chalicelib.domain.values import JsonValue

# Shorter ones would hide half of what is written anywhere.
SHORTEST = 4


@dataclass(frozen=True, slots=True, repr=False)
class Redactor:
    """Hides `needles`, longest first, so that no part of one stays behind."""

    needles: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """Return the text without the secrets."""
        for needle in self.needles:
            text = text.replace(needle, REDACTED)
        return text

    def value(self, value: JsonValue) -> JsonValue:
        """Return the value without the secrets, in keys too, and without references to some."""
        match value:
            case str():
                return REDACTED if is_reference(value) else self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
            case _:
                return value

    def log_line(self, line: str) -> str:
        """Return a line of a JSONL log without the secrets in its text; its other members stay."""
        if not any(needle in line for needle in self.needles):
            return line
        body = json.loads(line)
        body["line"] = self.text(body["line"])
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def redactor_of(secrets: Iterable[JsonValue]) -> Redactor:
    """Return what hides every string of 4 characters or more in the values, at any depth.

    The way in which JSON spells a secret is hidden too: what steps print is often JSON. References
    are no secrets themselves.
    """
    plain = {leaf for secret in secrets for leaf in leaves(secret) if len(leaf) >= SHORTEST}
    spelled = {json.dumps(leaf, ensure_ascii=False)[1:-1] for leaf in plain}
    return Redactor(tuple(sorted(plain | spelled, key=lambda text: (-len(text), text))))


def leaves(value: JsonValue) -> Iterator[str]:
    """Yield the strings in the value, at any depth, that may be secrets."""
    match value:
        case str():
            if value != REDACTED and not is_reference(value):
                yield value
        case list():
            for item in value:
                yield from leaves(item)
        case dict():
            for item in value.values():
                yield from leaves(item)
        case _:
            return
