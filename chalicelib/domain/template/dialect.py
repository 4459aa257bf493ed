"""The sandbox that templates are compiled in, and the cache of compiled templates.

The one rule: the environment offers generated code our operations and nothing else: no globals, no
tests, no attribute, no call. Jinja parses and generates; `template_rewrite` decides what may be
said.
Source: decision 5; security S9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NoReturn

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.lexer import TOKEN_STRING, TOKEN_WHITESPACE, Lexer, Token
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.template.limits import MAX_SOURCE_BYTES, MAX_TOKENS
from chalicelib.domain.template.rewrite import Rewriter, SyntaxFaultError
from chalicelib.domain.template.runtime import OPERATIONS
from chalicelib.domain.template.values import FaultError

CACHED_TEMPLATES = 1024
MAX_CACHED_CHARS = 16 * 1024
MAX_MESSAGE = 1_000
_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`", re.DOTALL)


class _Lexer(Lexer):
    """Strings in three kinds of quotes, without escapes; at most MAX_TOKENS tokens."""

    def __init__(self, environment: _Sandbox) -> None:
        super().__init__(environment)
        for state, rules in self.rules.items():
            self.rules[state] = [
                rule._replace(pattern=_STRINGS) if rule.tokens == TOKEN_STRING else rule
                for rule in rules
            ]

    def wrap(
        self,
        stream: Iterable[tuple[int, str, str]],
        name: str | None = None,
        filename: str | None = None,
    ) -> Iterator[Token]:
        return super().wrap(_literally(stream), name, filename)


def _literally(stream: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    count = 0
    for line, token, text in stream:
        count += token != TOKEN_WHITESPACE
        if count > MAX_TOKENS:
            raise TemplateSyntaxError(f"the template has more than {MAX_TOKENS} parts", line)
        yield line, token, text.replace("\\", "\\\\") if token == TOKEN_STRING else text


class _SetGlobal(Extension):
    """`{% set_global x = … %}`, parsed as `set` inside a node that nothing else makes."""

    tags = {"set_global"}  # noqa: RUF012 - as its base declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = parser.stream.current.lineno
        return nodes.Scope([parser.parse_set()], lineno=line)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, emptied. What it refuses cannot be reached: a second fence."""

    def __init__(self) -> None:
        super().__init__(
            extensions=[LoopControlExtension, _SetGlobal],
            keep_trailing_newline=True,
            optimized=False,  # what is worked out while compiling would not be counted
            autoescape=False,
            cache_size=0,
        )
        self.globals.clear()
        self.tests.clear()
        self.filters.clear()
        self.filters.update(OPERATIONS)

    @cached_property
    def lexer(self) -> Lexer:
        return _Lexer(self)

    def getattr(self, *_: object, **__: object) -> NoReturn:
        raise SecurityError("attributes cannot be read")

    def getitem(self, *_: object, **__: object) -> NoReturn:
        raise SecurityError("items are looked up by our own operation")

    def call(self, *_: object, **__: object) -> NoReturn:
        raise SecurityError("nothing can be called")

    def is_safe_attribute(self, *_: object, **__: object) -> bool:
        return False

    def is_safe_callable(self, *_: object, **__: object) -> bool:
        return False


SANDBOX = _Sandbox()


def check_size(source: str) -> None:
    """Refuse a text that is larger than any template may be, whatever it holds.

    Raises:
        TemplateError: it is.
    """
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE_BYTES:
        raise TemplateError(f"the template is larger than {MAX_SOURCE_BYTES // 1024} KB")


@dataclass(frozen=True, slots=True)
class Compiled:
    """One template, ready to render. `reads` are the names of the context that it reads."""

    code: Template
    reads: frozenset[str]


def failure(problem: str) -> TemplateError:
    """Return the error for people; a name out of the template may be long, so it is cut."""
    if len(problem) > MAX_MESSAGE:
        problem = problem[: MAX_MESSAGE - 1] + "…"
    return TemplateError(f"template error: {problem}")


def compiled(source: str) -> Compiled:
    """Return the compiled template; small ones are kept, the latest thousand.

    Raises:
        TemplateError: it is too large, does not parse, or uses what the language does not have.
    """
    return _kept(source) if len(source) <= MAX_CACHED_CHARS else _compile(source)


def _compile(source: str) -> Compiled:
    """Errors are raised outside the handlers, so that none drags a chain of others along."""
    check_size(source)
    rewriter = Rewriter()
    try:
        tree = rewriter.template(SANDBOX.parse(source))
        tree.set_environment(SANDBOX)
        return Compiled(SANDBOX.from_string(tree), frozenset(rewriter.reads))
    except TemplateSyntaxError as error:
        problem = f"line {error.lineno}: {error.message}"
    except SyntaxFaultError as error:
        problem = f"line {error.lineno}: {error}"
    except FaultError as error:
        problem = str(error)
    except (RecursionError, SyntaxError, MemoryError, ValueError, OverflowError):
        problem = "the template is nested too deep or malformed, so it cannot be compiled"
    raise failure(problem)


_kept = lru_cache(CACHED_TEMPLATES)(_compile)
