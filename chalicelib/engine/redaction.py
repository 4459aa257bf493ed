"""Hide secret values in what people read: every occurrence of a known value gives way to dots.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.job import Job
from chalicelib.domain.masks import REDACTED
from chalicelib.domain.template import has_template
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Definition
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import load_blob

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


def redactor_for(engine: Engine, job: Job, definition: Definition) -> Redactor:
    """Return what hides the workspace's secrets and the job's own secret inputs."""
    return redactor_of(secrets_of(engine, job, definition))


def secrets_of(engine: Engine, job: Job, definition: Definition) -> list[JsonValue]:
    """Return all that a job's steps may read and nobody else: at any depth of these values."""
    secrets: list[JsonValue] = [definition.secrets, _rendered(engine, definition.secrets)]
    secrets += _of_connections(definition)
    if job.secret_input is not None:
        secrets.append(json.loads(load_blob(engine.blobs, job.secret_input)))
    return secrets


def _of_connections(definition: Definition) -> Iterator[JsonValue]:
    """Yield what stands in secret fields; where a template does, it reads the secrets above."""
    for connection in definition.connections.values():
        fields = definition.connection_types.get(connection.type or "", {})
        for name, value in connection.values.items():
            is_plain = not (isinstance(value, str) and has_template(value))
            if name in fields and fields[name].secret and is_plain:
                yield value


def _rendered(engine: Engine, secrets: JsonObject) -> JsonValue:
    try:
        return engine.renderer.render_value(secrets, {})
    except TemplateError:
        return None


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
