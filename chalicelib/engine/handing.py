"""What a job hands to a job that it starts: checked against the task, secrets kept apart.

The one rule: a value that comes from a secret stands in no table, whether or not the task that
gets it declares its field as secret. Source: security; workflow language, sections 1.2, 1.3, 1.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chalicelib.domain.inputs import CheckedInput, check_input
from chalicelib.domain.job import SECRET_MASK, Job
from chalicelib.domain.template import has_template
from chalicelib.domain.typed import typed
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Action, Definition, InputField, Task
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.opening import Opened, reads_secrets
from chalicelib.engine.redaction import SHORTEST, secrets_of
from chalicelib.engine.rendering import with_defaults


@dataclass(frozen=True, slots=True)
class Handed:
    """The templates that were written, and what they rendered to, by the name of the input.

    `secrets` are values beside the job's own that must stand in no table either; `derived` are
    the names of what was worked out from secrets.
    """

    templates: JsonObject
    rendered: JsonObject
    secrets: tuple[JsonValue, ...] = ()
    derived: frozenset[str] = frozenset()


def check_handed(
    engine: Engine, plan: Plan, job: Job, action: Action, task: Task, handed: Handed
) -> CheckedInput:
    """Complete what is handed by the action's defaults; check it against the action and the task.

    Text that a template gave is read as the type that the field asks for.

    Raises:
        InvalidError: it does not fit.
    """
    definition = plan.definition
    opened = Opened(engine, job.workspace, definition)
    templates = {**_defaults(action.input), **handed.templates}
    values = handed.rendered
    declared = set(handed.derived)
    for fields in (action.input, task.input):
        checked = check_input(fields, _typed(fields, templates, values), definition)
        declared |= checked.secret.keys()
        values = {**checked.shown, **checked.secret}
        if fields is action.input:
            values = with_defaults(opened, fields, values)
    known = _Known.of([*secrets_of(engine, job, definition), *handed.secrets, *opened.values])
    hidden = {
        name: value
        for name, value in values.items()
        if name in declared
        or reads_secrets(templates.get(name))
        or _is_connection(definition, task.input.get(name) or action.input.get(name), value)
        or known.are_in(value)
    }
    return CheckedInput({**values, **dict.fromkeys(hidden, SECRET_MASK)}, hidden)


@dataclass(frozen=True, slots=True)
class _Known:
    """Secret texts, to be found as a whole value, and those long enough to be found in others."""

    whole: frozenset[str]
    parts: tuple[str, ...]

    @classmethod
    def of(cls, secrets: Iterable[JsonValue]) -> _Known:
        texts = frozenset(text for secret in secrets for text in _leaves(secret) if text)
        return cls(texts, tuple(text for text in texts if len(text) >= SHORTEST))

    def are_in(self, value: JsonValue) -> bool:
        return any(
            leaf in self.whole or any(part in leaf for part in self.parts)
            for leaf in _leaves(value)
        )


def _leaves(value: JsonValue) -> Iterator[str]:
    match value:
        case None | bool():
            return
        case list():
            for item in value:
                yield from _leaves(item)
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case _:
            yield str(value)


def _typed(
    fields: Mapping[str, InputField], templates: JsonObject, values: JsonObject
) -> JsonObject:
    return {
        name: typed(fields[name], value)
        if name in fields and isinstance(value, str) and _is_template(templates.get(name))
        else value
        for name, value in values.items()
    }


def _defaults(fields: Mapping[str, InputField]) -> JsonObject:
    return {name: field.default for name, field in fields.items() if field.has_default}


def _is_template(value: JsonValue) -> bool:
    return isinstance(value, str) and has_template(value)


def _is_connection(definition: Definition, field: InputField | None, value: JsonValue) -> bool:
    """Say whether a connection's values are handed on, of which any may be for its users only."""
    is_typed = field is not None and field.type in definition.connection_types
    return is_typed and isinstance(value, dict)
