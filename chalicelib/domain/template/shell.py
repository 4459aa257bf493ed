"""Finds values that are spliced into a script without quoting. Owns that one warning.

Source: security S10.
"""

from __future__ import annotations

from typing import cast

from jinja2 import TemplateSyntaxError, nodes
from jinja2.lexer import TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END

from chalicelib.domain.template.dialect import SANDBOX

_QUOTING = frozenset({"quote", "sh"})


def unquoted_in_shell(script: str) -> list[tuple[int, str]]:
    """Return line and text of each `{{ … }}` that is no literal and not `| quote`d at its end.

    Empty for a script that does not parse: `check` says so.
    """
    try:
        return [found for found in _expressions(script) if not _is_quoted(found[1])]
    except (TemplateSyntaxError, RecursionError, ValueError):
        return []


def _expressions(script: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    start = 0
    parts: list[str] = []
    for line, token, text in SANDBOX.lexer.tokeniter(script, None):
        if token == TOKEN_VARIABLE_BEGIN:
            start, parts = line, []
        elif token == TOKEN_VARIABLE_END:
            found.append((start, "".join(parts).strip()))
        else:
            parts.append(text)
    return found


def _is_quoted(expression: str) -> bool:
    (output,) = SANDBOX.parse("{{ " + expression + " }}").body
    (outermost,) = cast("nodes.Output", output).nodes
    return isinstance(outermost, nodes.Const) or (
        isinstance(outermost, nodes.Filter) and outermost.name in _QUOTING
    )
