"""Hides secrets in what a worker reports that does not hide them itself: an unmodified Strøm one.

The one rule: nothing of such a report is kept before it was searched. A reference that cannot be
resolved now hides nothing, and keeps no report back.
Source: security, S19.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from chalicelib.domain.errors import StroemError
from chalicelib.domain.logs import LogLine
from chalicelib.domain.needles import Needles
from chalicelib.domain.redactor import leaves
from chalicelib.domain.workflow import Definition
from chalicelib.engine.engine import Engine
from chalicelib.engine.opening import Opened
from chalicelib.engine.redaction import definitions_of, secrets_of
from chalicelib.engine.rendering import connection_values
from chalicelib.engine.steps import Outcome


def hidden_lines(engine: Engine, job_id: str, lines: Sequence[LogLine]) -> list[LogLine]:
    """Return the lines without the secrets of the job's workspace, and the job's own."""
    needles = _needles(engine, job_id)
    return [replace(line, line=needles.text(line.line)) for line in lines]


def hidden_outcome(engine: Engine, job_id: str, outcome: Outcome) -> Outcome:
    """Return how an attempt ended, without secrets in its error and its output."""
    needles = _needles(engine, job_id)
    error = None if outcome.error is None else needles.text(outcome.error)
    return replace(outcome, error=error, output=needles.value(outcome.output))


def _needles(engine: Engine, job_id: str) -> Needles:
    job = engine.jobs.get(job_id)
    definition = engine.plan_of(job).definition
    found = set(leaves(secrets_of(engine, job, definition)))
    for workspace, one in definitions_of(engine, job, definition):
        found |= _opened(engine, workspace, one)
    return Needles(found)


def _opened(engine: Engine, workspace: str, definition: Definition) -> set[str]:
    opened = Opened(engine, workspace, definition)
    for name in definition.secrets:
        with suppress(StroemError):
            opened.secret(name)
    for name in definition.connections:
        with suppress(StroemError):
            connection_values(opened, definition, name)
    return opened.values
