"""Hide secret values in what people read: every occurrence of a known value gives way to dots.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chalicelib.domain.values import JsonValue

REDACTED = "••••••"
# Shorter ones would hide half of what is written anywhere.
SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Redactor:
    """Hides `needles`, longest first, so that no part of one stays behind."""

    needles: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """Return the text without the secrets."""
        for needle in self.needles:
            text = text.replace(needle, REDACTED)
        return text

    def value(self, value: JsonValue) -> JsonValue:
        """Return the value without the secrets, in keys too."""
        if not self.needles:
            return value
        match value:
            case str():
                return self.text(value)
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

    The way in which JSON spells a secret is hidden too: what steps print is often JSON.
    """
    plain = {leaf for secret in secrets for leaf in _leaves(secret) if len(leaf) >= SHORTEST}
    spelled = {json.dumps(leaf, ensure_ascii=False)[1:-1] for leaf in plain}
    return Redactor(tuple(sorted(plain | spelled, key=lambda text: (-len(text), text))))


def _leaves(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _leaves(item)
        case dict():
            for item in value.values():
                yield from _leaves(item)
