"""Expressions as text for messages. The one rule: literals are left out, as they may be secret."""

from __future__ import annotations

from jinja2 import nodes

from chalicelib.domain.template.limits import MAX_EXPRESSION_NESTING

_MAX_SHOWN = 60
_ELIDED = "…"


def describe(node: nodes.Node | None) -> str:
    """Return an expression as text for a message: names, keys and filters."""
    text = _described(node, 0)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + _ELIDED


def _described(node: nodes.Node | None, depth: int) -> str:
    if depth > MAX_EXPRESSION_NESTING:
        return _ELIDED
    text = _ELIDED
    match node:
        case nodes.Name():
            text = node.name
        case nodes.Getattr() | nodes.Getitem():
            text = _described(node.node, depth + 1) + label(node)
        case nodes.Filter():
            text = f"{_described(node.node, depth + 1)} | {node.name}"
        case nodes.Call():
            text = f"{_described(node.node, depth + 1)}()"
    return text


def label(node: nodes.Getattr | nodes.Getitem) -> str:
    """Return the key as the template writes it, an expression as `[…]`."""
    if isinstance(node, nodes.Getattr):
        return f".{node.attr}"
    if not isinstance(node.arg, nodes.Const):
        return f"[{_ELIDED}]"
    return f'["{node.arg.value}"]' if isinstance(node.arg.value, str) else f"[{node.arg.value}]"
