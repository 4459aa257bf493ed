"""Checks references to secrets where a definition may hold some: the spelling, not the value.

Source: workflow language, sections 1.4 and 2.1.
"""

from __future__ import annotations

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.parse.report import Report
from chalicelib.domain.references import is_reference, parse_reference
from chalicelib.domain.sources import Path
from chalicelib.domain.validate.names import action_path
from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import Definition


def check_secrets(definition: Definition, report: Report) -> None:
    """Refuse references that nobody could resolve."""
    _check(definition.secrets, ("secrets",), report)
    for connection in definition.connections.values():
        _check(connection.values, ("connections", connection.key), report)
    for action in definition.actions.values():
        _check({**action.env}, (*action_path(action), "env"), report)


def _check(value: JsonValue, path: Path, report: Report) -> None:
    match value:
        case str() if is_reference(value):
            try:
                parse_reference(value)
            except InvalidError as error:
                report.error(path, error.message)
        case list():
            for index, item in enumerate(value):
                _check(item, (*path, index), report)
        case dict():
            for name, item in value.items():
                _check(item, (*path, name), report)
        case _:
            return
