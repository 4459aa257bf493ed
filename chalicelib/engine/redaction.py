"""Hide secret values in what people read: every occurrence of a known value gives way to dots.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.job import Job
from chalicelib.domain.redactor import SHORTEST, Redactor, redactor_of
from chalicelib.domain.template import has_template
from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import Definition
from chalicelib.engine.engine import Engine
from chalicelib.engine.opening import Opened, Use
from chalicelib.engine.payloads import load_blob

__all__ = ["SHORTEST", "Redactor", "redactor_for", "redactor_of", "secrets_of"]


def redactor_for(engine: Engine, job: Job, definition: Definition) -> Redactor:
    """Return what hides the workspace's secrets and the job's own secret inputs."""
    return redactor_of(secrets_of(engine, job, definition))


def secrets_of(engine: Engine, job: Job, definition: Definition) -> list[JsonValue]:
    """Return all that a job's steps may read and nobody else: at any depth of these values."""
    secrets: list[JsonValue] = []
    for workspace, one in definitions_of(engine, job, definition):
        secrets += [one.secrets, _rendered(engine, workspace, one), *_of_connections(one)]
    if job.secret_input is not None:
        secrets.append(json.loads(load_blob(engine.blobs, job.secret_input)))
    return secrets


def definitions_of(
    engine: Engine, job: Job, definition: Definition
) -> Iterator[tuple[str, Definition]]:
    """Yield the workspaces whose secrets the job's steps may read: its own, and owners'."""
    yield job.workspace, definition
    for workspace, revision in job.pins:
        yield workspace, engine.definitions.load(workspace, revision)


def _of_connections(definition: Definition) -> Iterator[JsonValue]:
    """Yield what stands in secret fields; where a template does, it reads the secrets above."""
    for connection in definition.connections.values():
        fields = definition.connection_types.get(connection.type or "", {})
        for name, value in connection.values.items():
            is_plain = not (isinstance(value, str) and has_template(value))
            if name in fields and fields[name].secret and is_plain:
                yield value


def _rendered(engine: Engine, workspace: str, definition: Definition) -> JsonValue:
    """Return what templates make of the secrets; nothing is resolved, references give dots."""
    try:
        return Opened(engine, workspace, definition, Use.SHOW).everything()
    except TemplateError:
        return None
