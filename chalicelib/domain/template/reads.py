"""Which parts of one name a template reads, so that nothing more need be had for it.

The one rule: where it cannot be told, all is said to be read.
"""

from __future__ import annotations

from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes

from chalicelib.domain.template.dialect import CACHED_TEMPLATES, SANDBOX
from chalicelib.domain.template.renderer import has_template

# Reading a name by a key that is known only when it is rendered.
EVERYTHING = None


def keys_read(template: str, name: str) -> frozenset[str] | None:
    """Return the keys that the template reads of the object `name`; None for all of them."""
    if not has_template(template) or name not in template:
        return frozenset()
    return _kept(template, name)


def uses_filter(template: str, name: str) -> bool:
    """Say whether the template pipes anything through the filter of that name."""
    if name not in template or not has_template(template):
        return False
    try:
        tree = SANDBOX.parse(template)
    except (TemplateSyntaxError, RecursionError, ValueError):
        return False
    return any(found.name == name for found in tree.find_all(nodes.Filter))


def _keys_read(template: str, name: str) -> frozenset[str] | None:
    try:
        tree = SANDBOX.parse(template)
    except (TemplateSyntaxError, RecursionError, ValueError):
        return EVERYTHING
    return _below(tree, name)


_kept = lru_cache(CACHED_TEMPLATES)(_keys_read)


def _below(node: nodes.Node, name: str) -> frozenset[str] | None:
    key = _key_of(node, name)
    if key is not None:
        return frozenset({key})
    if isinstance(node, nodes.Name) and node.name == name:
        return EVERYTHING
    found: set[str] = set()
    for child in node.iter_child_nodes():
        keys = _below(child, name)
        if keys is EVERYTHING:
            return EVERYTHING
        found |= keys
    return frozenset(found)


def _key_of(node: nodes.Node, name: str) -> str | None:
    """Return the key of `name.key` or `name["key"]`."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem):
        return None
    if not (isinstance(node.node, nodes.Name) and node.node.name == name):
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None
