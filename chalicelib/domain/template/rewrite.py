"""Rewrites a parsed template so that every step is a call of `template_runtime`; owns the tags.

The one rule: what is not named here is refused. The rewritten tree has text, branches, loops
and calls of our operations, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jinja2 import nodes

from chalicelib.domain.template.describe import describe
from chalicelib.domain.template.limits import MAX_BLOCK_NESTING, MAX_LOOP_NESTING
from chalicelib.domain.template.rewrite_expressions import Expressions
from chalicelib.domain.template.values import FaultError


class SyntaxFaultError(FaultError):
    """A fault in how the template is written, with its line."""

    def __init__(self, message: str, lineno: int) -> None:
        super().__init__(message)
        self.lineno = lineno


class Rewriter(Expressions):
    """Rewrites one tree; use it once."""

    def __init__(self) -> None:
        super().__init__()
        self._loops = 0
        self._blocks = 0
        self._buffers = 0
        self._tags: dict[type[nodes.Node], Callable[..., Iterator[nodes.Node]]] = {
            nodes.Output: self._outputs,
            nodes.If: self._if,
            nodes.For: self._for,
            nodes.Assign: self._set,
            nodes.Scope: self._set_global,
            nodes.FilterBlock: self._filter_block,
            nodes.Break: self._leave,
            nodes.Continue: self._leave,
        }

    def template(self, tree: nodes.Template) -> nodes.Template:
        """Return the tree to generate code from.

        Raises:
            SyntaxFaultError: something in it is not part of the language.
        """
        try:
            return nodes.Template(self._body(tree.body), lineno=1)
        except SyntaxFaultError:
            raise
        except FaultError as error:
            problem = SyntaxFaultError(str(error), self._line)
        raise problem

    def _body(self, body: list[nodes.Node]) -> list[nodes.Node]:
        return [done for statement in body for done in self._statement(statement)]

    def _statement(self, node: nodes.Node) -> Iterator[nodes.Node]:
        self._line = node.lineno or self._line
        if type(node) not in self._tags:
            raise self._refused(node)
        with self._nested():
            yield from self._tags[type(node)](node)

    def _done(self, expression: nodes.Expr) -> nodes.ExprStmt:
        return nodes.ExprStmt(expression, lineno=self._line)

    @contextmanager
    def _nested(self) -> Iterator[None]:
        self._blocks += 1
        if self._blocks > MAX_BLOCK_NESTING:
            raise FaultError(f"blocks are nested more than {MAX_BLOCK_NESTING} deep")
        yield
        self._blocks -= 1

    def _outputs(self, node: nodes.Output) -> Iterator[nodes.Node]:
        yield nodes.Output([self._output(one) for one in node.nodes], lineno=node.lineno)

    def _output(self, node: nodes.Expr) -> nodes.Expr:
        if not isinstance(node, nodes.TemplateData):
            return self._operation("out", self._expression(node))
        if self._buffers:  # inside a filter block text is an intermediate string: it is counted
            return self._operation("out", nodes.Const(node.data))
        return node

    def _if(self, node: nodes.If) -> Iterator[nodes.If]:
        test = self._condition(node.test)
        body = self._body(node.body)
        others = [rewritten for one in node.elif_ for rewritten in self._if(one)]
        yield nodes.If(test, body, others, self._body(node.else_), lineno=node.lineno)

    def _for(self, node: nodes.For) -> Iterator[nodes.Node]:
        if node.test is not None or node.recursive:
            raise FaultError("a loop has no `if` and no `recursive`; put an `{% if %}` inside it")
        targets = _targets(node.target)
        over = self._operation("each", self._expression(node.iter), describe(node.iter), *targets)
        self._loops += 1
        if self._loops > MAX_LOOP_NESTING:
            raise FaultError(f"loops are nested more than {MAX_LOOP_NESTING} deep")
        self._bound.append({*targets, "loop"})
        body = self._body(node.body)
        self._bound.pop()
        self._loops -= 1
        unused, test, recursive = nodes.Name("_", "store"), None, False
        otherwise = self._body(node.else_)
        yield nodes.For(unused, over, body, otherwise, test, recursive, lineno=node.lineno)
        yield self._done(self._operation("leave", nodes.Const(self._loops)))

    def _set(self, node: nodes.Assign) -> Iterator[nodes.Node]:
        yield self._assign(node, globally=False)

    def _set_global(self, node: nodes.Scope) -> Iterator[nodes.Node]:
        """Take the node that `set_global` is parsed to; the language has no other scopes."""
        (inner,) = node.body
        if not isinstance(inner, nodes.Assign):
            raise self._refused(inner)
        yield self._assign(inner, globally=True)

    def _assign(self, node: nodes.Assign, *, globally: bool) -> nodes.Node:
        if not isinstance(node.target, nodes.Name):
            raise FaultError("`set` gives one plain name a value")
        name = node.target.name
        if name == "loop":
            raise FaultError("`loop` cannot be given another meaning")
        value = self._expression(node.node)
        self._bound[0 if globally else -1].add(name)
        return self._done(self._operation("assign", value, name, globally))

    def _filter_block(self, node: nodes.FilterBlock) -> Iterator[nodes.FilterBlock]:
        self._buffers += 1
        body = self._body(node.body)
        applied = self._filter(node.filter)
        self._buffers -= 1
        yield nodes.FilterBlock(body, self._operation("out", applied), lineno=node.lineno)

    def _leave(self, node: nodes.Break | nodes.Continue) -> Iterator[nodes.Node]:
        if not self._loops:
            raise FaultError("`break` and `continue` stand inside a loop only")
        yield node


def _targets(node: nodes.Node) -> tuple[str, ...]:
    match node:
        case nodes.Name():
            names: tuple[str, ...] = (node.name,)
        case nodes.Tuple(items=[nodes.Name(name=key), nodes.Name(name=value)]):
            names = (key, value)
        case _:
            raise FaultError("a loop has one name, or a key and a value")
    if "loop" in names:
        raise FaultError("`loop` cannot be given another meaning")
    return names
