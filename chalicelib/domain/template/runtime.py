"""What generated template code calls: look-ups, filters, loops, output. Owns a rendering's state.

The one rule: every operation of a template comes through here, is charged for, and refuses
what is undefined. Names like `<path>` cannot be written in a template, so nothing else
reaches these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from chalicelib.domain.template.filters import FILTERS
from chalicelib.domain.template.limits import Meter, defined
from chalicelib.domain.template.operators import OPERATORS
from chalicelib.domain.template.specs import Functions, Tools, bound, must_be
from chalicelib.domain.template.tests import FUNCTIONS, TESTS
from chalicelib.domain.template.values import (
    FaultError,
    Missing,
    Value,
    a_kind,
    is_number,
    item,
    missing,
    show,
    show_names,
)


class State(Context):
    """One rendering: the names it sees, the frames of its loops, its meter."""

    def __init__(
        self, environment: Environment, names: Mapping[str, Value], functions: Functions
    ) -> None:
        super().__init__(environment, {}, None, {})
        self.names = names
        self.assigned: dict[str, Value] = {}
        self.frames: list[dict[str, Value]] = []
        self.tools = Tools(Meter(), functions)
        self.meter = self.tools.meter

    def look_up(self, name: str) -> Value:
        """Return what a name stands for: in the innermost loop, as set, or in the context."""
        for frame in reversed(self.frames):
            if name in frame:
                return frame[name]
        if name in self.assigned:
            return self.assigned[name]
        if name in self.names:
            return self.names[name]
        known = {*self.names, *self.assigned, *(key for frame in self.frames for key in frame)}
        return Missing(name, "this template", show_names(known), "object")


@pass_context
def path(state: State, name: str, labels: tuple[str, ...], /, *keys: Value) -> Value:
    """Look `name.key.key` up; a path that ends early is a Missing that says where."""
    state.meter.charge(1 + len(keys))
    return descend(state.look_up(name), name, labels, keys)


@pass_context
def member(
    state: State, value: Value, what: str, labels: tuple[str, ...], /, *keys: Value
) -> Value:
    """Look keys up in the result of an expression."""
    state.meter.charge(1 + len(keys))
    return descend(value, what, labels, keys)


def descend(value: Value, what: str, labels: tuple[str, ...], keys: tuple[Value, ...]) -> Value:
    """Return what the keys lead to. `what` and `labels` are the template's spelling of them.

    A key may be a value of the context, so a message shows its label and never the key itself.
    """
    for at, key in enumerate(keys):
        if type(value) is Missing:
            return value
        if type(defined(key)) is not str and (type(key) is not int or key < 0):
            raise FaultError(f"an index of `{what}` must be a string or a whole number from 0")
        inside = item(value, key)
        if type(inside) is Missing:
            parent = "".join((what, *labels[:at]))
            return missing(f"{parent}{labels[at]}", f"`{parent}`", value)
        value = inside
    return value


@pass_context
def out(state: State, value: Value) -> str:
    """Print a value."""
    if type(value) is list:
        state.meter.weigh(value)
    text = show(defined(value))
    state.meter.text(len(text))
    return text


@pass_context
def truth(state: State, value: Value) -> bool:
    """Decide a condition: undefined, null, false, 0 and what is empty are false."""
    state.meter.charge(1)
    return bool(value)


@pass_context
def negation(state: State, value: Value) -> bool:
    """Decide `not`."""
    state.meter.charge(1)
    return not value


@pass_context
def array(state: State, items: list[Value]) -> list[Value]:
    """Make an array literal."""
    state.meter.array(len(items))
    return [defined(each) for each in items]


@pass_context
def concat(state: State, first: Value, /, *others: Value) -> str:
    """Join strings and numbers, the operator `~`."""
    texts: list[str] = []
    for each in (first, *others):
        if type(defined(each)) is not str and not is_number(each):
            raise FaultError(f"`~` joins strings and numbers, not {a_kind(each)}")
        texts.append(show(each))
    state.meter.text(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def operate(state: State, left: Value, symbol: str, right: Value, what: str, /) -> Value:
    """Compare or calculate; `what` is the text of both sides."""
    state.meter.charge(1)
    try:
        return OPERATORS[symbol](state.meter, defined(left), defined(right))
    except FaultError as error:
        problem = str(error)
    raise FaultError(f"in `{what}`: {problem}")


@pass_context
def apply(state: State, value: Value, name: str, what: str, /, **given: Value) -> Value:
    """Run a filter. Charges for what it reads, and for the string that it makes."""
    spec = FILTERS[name]
    who = f"the filter `{name}`"
    if name != "default":
        must_be(spec.on, value, f"`{what}`, which goes into {who},")
    arguments = bound(spec, given, who)
    if spec.deep:
        state.meter.weigh(value)
    else:
        state.meter.charge(2 + (len(value) // 100 if type(value) is str else 0))
    result = spec.run(state.tools, value, **arguments)
    if type(result) is str and result is not value:
        state.meter.text(len(result))
    return result


@pass_context
def ask(state: State, value: Value, name: str, what: str, /, *given: Value) -> bool:
    """Run a test."""
    spec = TESTS[name]
    who = f"the test `{name}`"
    state.meter.charge(2 + (len(value) // 100 if type(value) is str else 0))
    if not spec.takes_undefined:
        must_be(spec.on, value, f"`{what}`, which goes into {who},")
    for kinds, argument in zip(spec.arguments, given, strict=True):
        must_be(kinds, argument, f"the argument of {who}")
    return spec.run(state.tools, value, *given)


@pass_context
def call(state: State, name: str, /, **given: Value) -> Value:
    """Run a function."""
    spec = FUNCTIONS[name]
    state.meter.charge(2)
    return spec.run(state.tools, **bound(spec, given, f"the function `{name}`"))


@pass_context
def each(state: State, value: Value, what: str, /, *targets: str) -> Iterator[None]:
    """Go through a loop; its names live in a frame that `<leave>` takes away."""
    pairs = _items(state, value, what, with_keys=len(targets) == len(("key", "value")))
    if not pairs:
        return
    frame: dict[str, Value] = {}
    state.frames.append(frame)
    for at, values in enumerate(pairs):
        state.meter.charge(2)
        frame.clear()
        frame.update(zip(targets, values, strict=True))
        frame["loop"] = {
            "index": at + 1,
            "index0": at,
            "first": at == 0,
            "last": at == len(pairs) - 1,
        }
        yield


def _items(state: State, value: Value, what: str, *, with_keys: bool) -> list[tuple[Value, ...]]:
    if type(defined(value)) is dict and with_keys:
        state.meter.charge(len(value) // 4)
        return sorted(value.items())
    if type(value) in (list, str) and not with_keys:
        state.meter.charge(len(value) // 4)
        return [(one,) for one in value]
    wanted = "an object; write `for item in …`" if with_keys else "an array or a string"
    hint = "; write `for key, value in …`" if type(value) is dict else ""
    raise FaultError(f"the loop over `{what}` needs {wanted}, not {a_kind(value)}{hint}")


@pass_context
def leave(state: State, depth: int) -> str:
    """End a loop at this depth of nesting."""
    del state.frames[depth:]
    return ""


@pass_context
def assign(state: State, value: Value, name: str, globally: bool, /) -> str:  # noqa: FBT001 - only generated code calls it
    """Give a name a value: in the loop that we are in, or for the whole template."""
    state.meter.charge(1)
    frame = state.frames[-1] if state.frames and not globally else state.assigned
    frame[name] = defined(value)
    return ""


def _operations() -> dict[str, Callable[..., object]]:
    named = {
        "path": path,
        "member": member,
        "out": out,
        "truth": truth,
        "not": negation,
        "array": array,
        "concat": concat,
        "operate": operate,
        "filter": apply,
        "test": ask,
        "call": call,
        "each": each,
        "leave": leave,
        "assign": assign,
    }
    return {
        f"<{name}>": cast("Callable[..., object]", function) for name, function in named.items()
    }


OPERATIONS = _operations()
