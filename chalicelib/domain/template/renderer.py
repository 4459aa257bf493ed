"""The template language's front door: render, check, and ask what a template reads.

The one rule: every failure leaves here as a TemplateError that names the line, the expression and
the kinds of the values involved, and never a value, since any of them may be a secret. Only
`throw` says what its author made it say.
Source: workflow language, section 2; decision 5; security S9 and S10.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import cast

from jinja2 import Template

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.template.dialect import SANDBOX, check_size, compiled, failure
from chalicelib.domain.template.limits import MAX_DEPTH, MAX_NODES, MAX_OUTPUT_BYTES, defined
from chalicelib.domain.template.runtime import State, descend
from chalicelib.domain.template.specs import Functions
from chalicelib.domain.template.values import FaultError, a_kind, vet
from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import MAX_LOOP_ITEMS

_PLAIN_PATH = re.compile(r"\s*\{\{-?\s*([A-Za-z_]\w*(?:\.\w+)*)\s*-?\}\}\s*", re.ASCII)
_FALSE = frozenset({"", "false", "0", "null", "none"})
NO_FUNCTIONS = Functions()
_BROKEN = (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


class Renderer:
    """Renders templates over plain JSON values. Keeps nothing of them between calls."""

    def __init__(self, functions: Functions = NO_FUNCTIONS) -> None:
        self._functions = functions

    def resolving(self, resolve_ref: Callable[[str], JsonValue]) -> Renderer:
        """Return a renderer like this one, whose `vals` asks the given function."""
        return Renderer(replace(self._functions, resolve_ref=resolve_ref))

    def render(self, template: str, context: Mapping[str, JsonValue]) -> str:
        """Return the template's text. One string is one template; its trailing newline stays.

        A text without anything to render is returned as it is.

        Raises:
            TemplateError: it does not parse, reads what is not there, or goes over a limit.
        """
        if has_template(template):
            return self._render(template, context, set())
        check_size(template)
        return template

    def render_value(self, value: JsonValue, context: Mapping[str, JsonValue]) -> JsonValue:
        """Return the value with every string in it rendered, at any depth; keys stay as they are.

        Raises:
            TemplateError: as `render`; or the value is nested more than 64 levels deep.
        """
        return self._render_deep(value, context, set(), 0)

    def render_input(self, value: JsonValue, context: Mapping[str, JsonValue]) -> JsonValue:
        """Return one input of a step: a string is rendered, anything else passes as it is.

        A string that is nothing but `{{ dotted.path }}` gives an object or array itself; a scalar
        becomes its text. Call it once for each entry of a step's `input`.

        Raises:
            TemplateError: as `render`.
        """
        if not isinstance(value, str) or not has_template(value):
            return value
        found = self._native(value, context)
        return found if isinstance(found, dict | list) else self.render(value, context)

    def is_truthy(self, template: str, context: Mapping[str, JsonValue]) -> bool:
        """Decide a `when`: false if the text is empty, `false`, `0`, `null` or `none` in any case.

        Raises:
            TemplateError: as `render`.
        """
        return self.render(template, context).strip().lower() not in _FALSE

    def items(self, template: str, context: Mapping[str, JsonValue]) -> list[JsonValue]:
        """Return what a `for_each` goes over: a JSON array as text, or a path to an array.

        Raises:
            TemplateError: it is no array, or has more than 10,000 items; or as `render`.
        """
        found = self._native(template, context)
        if not isinstance(found, list | dict):
            found = _parsed(self.render(template, context))
        if not isinstance(found, list):
            raise TemplateError(
                f"the loop needs a JSON array, and the template gives {a_kind(found)}"
            )
        if len(found) > MAX_LOOP_ITEMS:
            raise TemplateError(f"the loop has {len(found)} items; {MAX_LOOP_ITEMS} is the most")
        return found

    def _native(self, template: str, context: Mapping[str, JsonValue]) -> JsonValue:
        """Return the value of a template that is only a dotted path; None for any other."""
        match = _PLAIN_PATH.fullmatch(template)
        if match is None:
            return None
        root, *keys = match[1].split(".")
        labels = tuple(f".{key}" for key in keys)
        state = State(SANDBOX, context, self._functions)
        try:
            _vet_names({root}, context, set())
            return cast(
                "JsonValue", defined(descend(state.look_up(root), root, labels, tuple(keys)))
            )
        except FaultError as error:
            problem = str(error)
        raise failure(f"line 1: {problem}")

    def _render_deep(
        self, value: JsonValue, context: Mapping[str, JsonValue], vetted: set[str], depth: int
    ) -> JsonValue:
        if depth > MAX_DEPTH:
            raise TemplateError(f"the value is nested more than {MAX_DEPTH} levels deep")
        match value:
            case str() if has_template(value):
                return self._render(value, context, vetted)
            case list():
                return [self._render_deep(one, context, vetted, depth + 1) for one in value]
            case dict():
                return {
                    key: self._render_deep(one, context, vetted, depth + 1)
                    for key, one in value.items()
                }
        return value

    def _render(self, source: str, context: Mapping[str, JsonValue], vetted: set[str]) -> str:
        template = compiled(source)
        try:
            _vet_names(template.reads, context, vetted)
            return _run(template.code, State(SANDBOX, context, self._functions))
        except FaultError as error:
            line, problem = _line_of(error.__traceback__, template.code), str(error)
        except _BROKEN as error:
            line = _line_of(error.__traceback__, template.code)
            problem = f"this cannot be worked out ({type(error).__name__})"
        raise failure(f"line {line}: {problem}")


def _run(code: Template, state: State) -> str:
    pieces: list[str] = []
    size = 0
    for piece in code.root_render_func(state):
        size += len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace"))
        if size > MAX_OUTPUT_BYTES:
            raise FaultError(f"the result is larger than {MAX_OUTPUT_BYTES // 1024} KB")
        pieces.append(piece)
    return "".join(pieces)


def _vet_names(
    names: frozenset[str] | set[str], context: Mapping[str, JsonValue], vetted: set[str]
) -> None:
    """Check the values that a template reads; `vetted` holds the names that were checked."""
    for name in names - vetted:
        if name in context:
            try:
                vet(context[name], MAX_DEPTH, MAX_NODES)
            except FaultError as error:
                raise FaultError(f"`{name}` cannot be used: {error}") from None
            vetted.add(name)


def _line_of(trace: TracebackType | None, code: Template) -> int:
    """Return the template's line, from the innermost frame of generated code."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code is code.root_render_func.__code__:
            line = code.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _no_json(_: str) -> JsonValue:
    raise ValueError("NaN and Infinity are no JSON")


def _parsed(text: str) -> JsonValue:
    try:
        return cast("JsonValue", json.loads(text, parse_constant=_no_json))
    except (ValueError, RecursionError):
        pass
    raise TemplateError(
        "the loop needs a JSON array, and the template gives text that is no JSON; "
        "end the expression with `| json_encode()`"
    )


def check(template: str) -> None:
    """Parse only: syntax, size, and that every filter, test, function and argument exists.

    Raises:
        TemplateError: with the line in its message.
    """
    compiled(template)


def names_used(template: str) -> frozenset[str]:
    """Return the top-level names that the template reads and does not set itself.

    Raises:
        TemplateError: it does not parse.
    """
    return compiled(template).reads if has_template(template) else frozenset()


def has_template(text: str) -> bool:
    """Tell whether there is anything to render in the text.

    A comment counts only when it is closed: shells write `${#name}` for a length.
    """
    return "{{" in text or "{%" in text or ("{#" in text and "#}" in text)


def is_plain_path(template: str) -> bool:
    """Tell whether the template is only `{{ dotted.path }}`: objects pass through it whole."""
    return _PLAIN_PATH.fullmatch(template) is not None


def context_name(step_key: str) -> str:
    """Return the name of a step in templates: hyphens become underscores."""
    return step_key.replace("-", "_")
