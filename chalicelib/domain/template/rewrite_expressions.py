"""Rewrites expressions into calls of `template_runtime`. Owns which expressions may be written.

The one rule: what is not in the table here is refused; no name, attribute, operator or call of
Python's is left over for the generated code to make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

from jinja2 import nodes

from chalicelib.domain.template.describe import describe, label
from chalicelib.domain.template.filters import FILTERS
from chalicelib.domain.template.limits import MAX_EXPRESSION_NESTING
from chalicelib.domain.template.operators import HIGHEST
from chalicelib.domain.template.specs import check_arguments, unknown
from chalicelib.domain.template.tests import FUNCTIONS, REFUSED_FUNCTIONS, TESTS
from chalicelib.domain.template.values import FaultError

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from … import %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.Macro: "{% macro %}",
    nodes.CallBlock: "{% call %}",
    nodes.With: "{% with %}",
    nodes.ScopedEvalContextModifier: "{% autoescape %}",
    nodes.AssignBlock: "{% set %} with a body",
    nodes.Slice: "a slice `[a:b]` (use the filter `slice`)",
    nodes.Dict: "an object literal",
    nodes.Tuple: "a list without brackets",
    nodes.Pow: "`**`",
    nodes.FloorDiv: "`//`",
    nodes.Pos: "a `+` sign before a value",
}
_CALCULATE: dict[type[nodes.Node], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.Mod: "%",
}
_COMPARE = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
# What one entry of the table takes is narrower than a node: the entry's own type.
_Rewrite: TypeAlias = Callable[..., nodes.Expr]


class Expressions:
    """Rewrites expressions. `reads` collects the names read that the template does not set."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self._bound: list[set[str]] = [set()]
        self._depth = 0
        self._line = 1
        self._table: dict[type[nodes.Node], _Rewrite] = {
            nodes.Const: self._constant,
            nodes.Name: self._path,
            nodes.Getattr: self._path,
            nodes.Getitem: self._path,
            nodes.List: self._array,
            nodes.Filter: self._filter,
            nodes.Test: self._test,
            nodes.Call: self._call,
            nodes.Concat: self._concat,
            nodes.Not: self._not,
            nodes.And: self._and,
            nodes.Or: self._or,
            nodes.CondExpr: self._choice,
            nodes.Neg: self._negative,
            nodes.Compare: self._compare,
            **dict.fromkeys(_CALCULATE, self._calculate),
        }

    def _operation(self, name: str, value: nodes.Expr | None, *rest: object) -> nodes.Filter:
        """Return a call of an operation; of `rest`, what is no node becomes a literal."""
        keywords = [one for one in rest if isinstance(one, nodes.Keyword)]
        others = (one for one in rest if not isinstance(one, nodes.Keyword))
        args = [one if isinstance(one, nodes.Expr) else nodes.Const(one) for one in others]
        return nodes.Filter(value, f"<{name}>", args, keywords, None, None, lineno=self._line)

    def _refused(self, node: nodes.Node) -> FaultError:
        what = _REFUSED.get(type(node), f"this ({type(node).__name__})")
        return FaultError(f"{what} is not part of the template language")

    def _expression(self, node: nodes.Node) -> nodes.Expr:
        if type(node) not in self._table:
            raise self._refused(node)
        self._depth += 1
        if self._depth > MAX_EXPRESSION_NESTING:
            raise FaultError(f"an expression is nested more than {MAX_EXPRESSION_NESTING} deep")
        self._line = node.lineno or self._line
        rewritten = self._table[type(node)](node)
        self._depth -= 1
        return rewritten

    def _condition(self, node: nodes.Node) -> nodes.Expr:
        return self._operation("truth", self._expression(node))

    def _constant(self, node: nodes.Const) -> nodes.Expr:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            raise FaultError("a number is too large")
        if isinstance(value, int) and value > HIGHEST:
            raise FaultError("a whole number must fit in 64 bits")
        return node

    def _path(self, node: nodes.Expr) -> nodes.Expr:
        """Fold `a.b[c]` into one look-up, however long it is."""
        keys: list[object] = []
        labels: list[str] = []
        root = node
        while isinstance(root, nodes.Getattr | nodes.Getitem):
            keys.append(
                root.attr if isinstance(root, nodes.Getattr) else self._expression(root.arg)
            )
            labels.append(label(root))
            root = root.node
        keys.reverse()
        spelled = tuple(reversed(labels))
        if not isinstance(root, nodes.Name):
            return self._operation(
                "member", self._expression(root), describe(root), spelled, *keys
            )
        if not any(root.name in names for names in self._bound):
            self.reads.add(root.name)
        return self._operation("path", nodes.Const(root.name), spelled, *keys)

    def _array(self, node: nodes.List) -> nodes.Expr:
        return self._operation("array", nodes.List([self._expression(one) for one in node.items]))

    def _concat(self, node: nodes.Concat) -> nodes.Expr:
        first, *others = (self._expression(one) for one in node.nodes)
        return self._operation("concat", first, *others)

    def _not(self, node: nodes.Not) -> nodes.Expr:
        return self._operation("not", self._expression(node.node))

    def _and(self, node: nodes.And) -> nodes.Expr:
        left, right = self._condition(node.left), self._condition(node.right)
        return nodes.CondExpr(left, right, nodes.Const(False))  # noqa: FBT003 - a literal of the template

    def _or(self, node: nodes.Or) -> nodes.Expr:
        left, right = self._condition(node.left), self._condition(node.right)
        return nodes.CondExpr(left, nodes.Const(True), right)  # noqa: FBT003 - the same

    def _choice(self, node: nodes.CondExpr) -> nodes.Expr:
        if node.expr2 is None:
            raise FaultError("`x if y` needs an `else`")
        test = self._condition(node.test)
        return nodes.CondExpr(test, self._expression(node.expr1), self._expression(node.expr2))

    def _negative(self, node: nodes.Neg) -> nodes.Expr:
        if isinstance(node.node, nodes.Const) and type(node.node.value) in (int, float):
            return nodes.Const(-self._number(node.node))
        return self._binary("-", nodes.Const(0), node.node)

    def _number(self, node: nodes.Const) -> float:
        self._constant(node)
        return float(node.value) if isinstance(node.value, float) else int(node.value)

    def _calculate(self, node: nodes.BinExpr) -> nodes.Expr:
        return self._binary(_CALCULATE[type(node)], node.left, node.right)

    def _compare(self, node: nodes.Compare) -> nodes.Expr:
        if len(node.ops) > 1:
            raise FaultError("comparisons cannot be chained; join them with `and`")
        (only,) = node.ops
        return self._binary(_COMPARE[only.op], node.expr, only.expr)

    def _binary(self, symbol: str, left: nodes.Node, right: nodes.Node) -> nodes.Expr:
        what = f"{describe(left)} {symbol} {describe(right)}"
        sides = self._expression(left), self._expression(right)
        return self._operation("operate", sides[0], symbol, sides[1], what)

    def _filter(self, node: nodes.Filter) -> nodes.Filter:
        who = f"the filter `{node.name}`"
        if node.name not in FILTERS:
            raise unknown("filter", node.name, FILTERS)
        self._named_only(node, who)
        check_arguments(FILTERS[node.name], [one.key for one in keywords(node)], who)
        value = None if node.node is None else self._expression(node.node)
        what = "the block" if node.node is None else describe(node.node)
        return self._operation("filter", value, node.name, what, *self._keywords(node))

    def _test(self, node: nodes.Test) -> nodes.Expr:
        if node.name not in TESTS:
            raise unknown("test", node.name, TESTS)
        wanted = len(TESTS[node.name].arguments)
        if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) != wanted:
            raise FaultError(f"the test `{node.name}` takes {wanted} arguments, without names")
        given = [self._expression(one) for one in node.args]
        value = self._expression(node.node)
        return self._operation("test", value, node.name, describe(node.node), *given)

    def _call(self, node: nodes.Call) -> nodes.Expr:
        if not isinstance(node.node, nodes.Name):
            raise FaultError(
                f"`{describe(node.node)}` cannot be called: values have no methods; use a filter"
            )
        name = node.node.name
        if name in REFUSED_FUNCTIONS:
            raise FaultError(REFUSED_FUNCTIONS[name])
        if name not in FUNCTIONS:
            raise unknown("function", name, FUNCTIONS)
        who = f"the function `{name}`"
        self._named_only(node, who)
        check_arguments(FUNCTIONS[name], [one.key for one in keywords(node)], who)
        return self._operation("call", nodes.Const(name), *self._keywords(node))

    def _named_only(self, node: nodes.Filter | nodes.Call, who: str) -> None:
        if node.args or node.dyn_args or node.dyn_kwargs:
            raise FaultError(f"the arguments of {who} need their names, as in `name=value`")

    def _keywords(self, node: nodes.Filter | nodes.Call) -> Iterator[nodes.Keyword]:
        for one in keywords(node):
            yield nodes.Keyword(one.key, self._expression(one.value))


def keywords(node: nodes.Filter | nodes.Call) -> list[nodes.Keyword]:
    """Return the named arguments; a filter's are declared as pairs, but the parser makes these."""
    return [one for one in node.kwargs if isinstance(one, nodes.Keyword)]
