"""A workspace's secrets while something is rendered: opened as far as the templates read them.

The one rule: only references that stand in the definition are resolved, never a text that an input
or an output brought; and no error that leaves here holds what was opened.
Source: workflow language, sections 1.4 and 2.1; protocol, "Moves"; security, S19.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TypeAlias, cast

from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    TemplateError,
)
from chalicelib.domain.masks import REDACTED
from chalicelib.domain.needles import Needles
from chalicelib.domain.redactor import leaves, redactor_of
from chalicelib.domain.references import is_reference, parse_reference, part_of
from chalicelib.domain.template import Renderer, has_template, keys_read, uses_filter
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Definition
from chalicelib.engine.engine import Engine

_Render: TypeAlias = Callable[..., JsonValue]


class Use(Enum):
    """What is rendered for: a worker that resolves the rest, the engine, or to be shown."""

    CLAIM = "claim"
    ENGINE = "engine"
    SHOW = "show"


class Opened:
    """Renders templates that may read `secret`. It holds secrets: never store it.

    `pending` are the references that a worker is to resolve, by the mark that stands for each in
    what was rendered. `values` are the texts that were opened so far.
    """

    def __init__(
        self, engine: Engine, workspace: str, definition: Definition, use: Use = Use.ENGINE
    ) -> None:
        self._engine = engine
        self._workspace = workspace
        self._definition = definition
        self._use = use
        self._renderer: Renderer = engine.renderer.resolving(self._piped)
        self._secrets: JsonObject = {}
        self._marks: dict[str, str] = {}
        self._sources: list[str] = []
        self.pending: dict[str, str] = {}
        self.values: set[str] = set()

    @property
    def definition(self) -> Definition:
        """Return the definition whose secrets are opened."""
        return self._definition

    def render(self, text: str, context: JsonObject) -> str:
        """Return the text rendered over the context and the secrets that it reads.

        Raises:
            TemplateError: it does not render, or a reference that it reads cannot be resolved.
            UnavailableError: where secrets live did not answer.
        """
        return cast("str", self._guarded(self._renderer.render, text, context))

    def render_input(self, value: JsonValue, context: JsonObject) -> JsonValue:
        """Return one input of a step or hook. Raises as `render`."""
        return self._guarded(self._renderer.render_input, value, context)

    def render_value(self, value: JsonValue, context: JsonObject) -> JsonValue:
        """Return the value with all texts in it rendered, at any depth. Raises as `render`."""
        return self._guarded(self._renderer.render_value, value, context)

    def written(self, value: JsonValue, context: JsonObject) -> JsonValue:
        """Return a value as the definition writes it, rendered, its references resolved.

        Raises as `render`.
        """
        match value:
            case str() if is_reference(value):
                return self.resolve(value)
            case str():
                return self.render(value, context)
            case list():
                return [self.written(item, context) for item in value]
            case dict():
                return {name: self.written(item, context) for name, item in value.items()}
            case _:
                return value

    def hidden(self, text: str) -> str:
        """Return the text without what was opened, in all its spellings."""
        return Needles(self.values).text(redactor_of(self.values).text(text))

    def everything(self) -> JsonObject:
        """Return all secrets of the workspace. Raises as `render`."""
        return {name: self.secret(name) for name in self._definition.secrets}

    def resolve(self, text: str) -> str:
        """Return what a reference of the definition stands for: its value, a mark or dots.

        Raises as `render`.
        """
        if self._use is Use.SHOW:
            return REDACTED
        if text not in self._marks:
            self._marks[text] = self._resolved(text)
        return self._marks[text]

    def _piped(self, text: str) -> str:
        """Resolve what a template pipes through `vals`, if the template itself says it."""
        if not any(text in source for source in self._sources):
            raise TemplateError(
                "`vals` resolves references that the template itself spells out, "
                "never a text that it reads or puts together"
            )
        return self.resolve(text)

    def _resolved(self, text: str) -> str:
        try:
            reference = parse_reference(text)
            if not reference.on_worker:
                content = self._engine.secrets.fetch(reference, self._workspace)
                value = part_of(reference, content)
                self.values.add(value)
                return value
        except (InvalidError, NotFoundError, PermissionDeniedError) as error:
            raise TemplateError(error.message) from None
        if self._use is not Use.CLAIM:
            raise TemplateError(
                f"{text} is known to workers only, so it cannot be read here: "
                "read it in the `env` of the action that needs it"
            )
        mark = f"stroem_ref_{self._engine.ids.nonce()}_{len(self.pending)}"
        self.pending[mark] = text
        return mark

    def secret(self, name: str) -> JsonValue:
        """Return one secret of the workspace. Raises as `render`."""
        if name not in self._secrets:
            value = self.written(self._definition.secrets[name], {})
            self._secrets[name] = value
            self.values.update(leaves(value))
        return self._secrets[name]

    def _read_by(self, texts: Iterable[str]) -> JsonObject:
        names: set[str] = set()
        for text in texts:
            keys = keys_read(text, "secret")
            if keys is None:
                return self.everything()
            names |= keys
        return {name: self.secret(name) for name in names & self._definition.secrets.keys()}

    def _guarded(self, render: _Render, value: JsonValue, context: JsonObject) -> JsonValue:
        sources = texts_in(value)
        secret = self._read_by(sources)
        self._sources = sources
        try:
            return render(value, {**context, "secret": secret})
        except TemplateError as error:
            # `throw` says what its author made it say.
            message = self.hidden(error.message)
        raise TemplateError(message)


def texts_in(value: JsonValue) -> list[str]:
    """Return the templates among the texts of a value, at any depth."""
    match value:
        case str():
            return [value] if has_template(value) else []
        case list():
            return [text for item in value for text in texts_in(item)]
        case dict():
            return [text for item in value.values() for text in texts_in(item)]
        case _:
            return []


def reads_secrets(value: JsonValue) -> bool:
    """Say whether what the definition writes there reads secrets: by name or by reference."""
    if is_reference(value):
        return True
    return any(
        keys_read(text, "secret") != frozenset() or uses_filter(text, "vals")
        for text in texts_in(value)
    )
