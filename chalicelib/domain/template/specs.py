"""The shape of what a template can call: filters, tests and functions with their kinds of values.

The one rule: nothing is called whose arguments were not checked against its entry in a table.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from chalicelib.domain.template.limits import Meter
from chalicelib.domain.template.values import (
    MAX_NAME_SHOWN,
    WORDS,
    FaultError,
    Missing,
    Value,
    a_kind,
    kind_of,
)
from chalicelib.domain.values import JsonValue

Kinds: TypeAlias = frozenset[str]

STRING = frozenset({"string"})
INTEGER = frozenset({"integer"})
NUMBER = frozenset({"integer", "float"})
BOOLEAN = frozenset({"boolean"})
ARRAY = frozenset({"array"})
OBJECT = frozenset({"object"})
ANY = frozenset(WORDS)
_PYTHON_WORDS = {"from": "from_", "with": "with_", "value": "value_", "format": "format_"}


@dataclass(frozen=True, slots=True)
class Functions:
    """What the pure core cannot have itself; each is optional, and what needs it fails without it.

    `now` gives an aware time. `random_int` is given both ends, included, as `random.randint` is.
    `resolve_ref` is given a whole `ref+…` string and returns what it stands for.
    """

    now: Callable[[], datetime] | None = None
    random_int: Callable[[int, int], int] | None = None
    resolve_ref: Callable[[str], JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What a filter, test or function may use besides its arguments."""

    meter: Meter
    functions: Functions


@dataclass(frozen=True, slots=True)
class Spec:
    """One filter or function. `run(tools, value, **arguments)`; a function has no value.

    `deep` says that it looks at every part of its value, so all of it is charged for.
    """

    run: Callable[..., Value]
    on: Kinds = ANY
    required: Mapping[str, Kinds] = field(default_factory=dict)
    optional: Mapping[str, Kinds] = field(default_factory=dict)
    deep: bool = False


@dataclass(frozen=True, slots=True)
class TestSpec:
    """One test, `value is name(arguments)`. `run(tools, value, *arguments)`."""

    run: Callable[..., bool]
    on: Kinds = ANY
    arguments: tuple[Kinds, ...] = ()
    takes_undefined: bool = False


def wants(kinds: Kinds) -> str:
    """Return the kinds in words: `a string or an array`."""
    words = [WORDS[kind] for kind in WORDS if kind in kinds]
    if kinds >= NUMBER:
        words.remove(WORDS["integer"])
    return " or ".join(words)


def must_be(kinds: Kinds, value: Value, who: str) -> None:
    """Check a value's kind.

    Raises:
        FaultError: it is undefined or another kind; `who` begins the sentence.
    """
    if type(value) is Missing:
        raise FaultError(f"{who}: {value.why()}")
    if kind_of(value) not in kinds:
        raise FaultError(f"{who} must be {wants(kinds)}, not {a_kind(value)}")


def bound(spec: Spec, given: Mapping[str, Value], who: str) -> dict[str, Value]:
    """Return the arguments by the names that `spec.run` takes.

    Raises:
        FaultError: an argument is undefined or of a wrong kind.
    """
    arguments: dict[str, Value] = {}
    for name, value in given.items():
        kinds = spec.required.get(name) or spec.optional[name]
        must_be(kinds, value, f"the argument `{name}` of {who}")
        arguments[_PYTHON_WORDS.get(name, name)] = value
    return arguments


def check_arguments(spec: Spec, given: Iterable[str], who: str) -> None:
    """Check an argument list before anything runs.

    Raises:
        FaultError: a name is unknown or twice, or one that is required is absent.
    """
    names = list(given)
    known = [*spec.required, *spec.optional]
    for name in names:
        if name not in known:
            raise FaultError(f"{who} has no argument `{name}`; it takes {listed(known)}")
        if names.count(name) > 1:
            raise FaultError(f"{who} is given `{name}` twice")
    for name in spec.required:
        if name not in names:
            raise FaultError(f"{who} needs the argument `{name}`")


def listed(names: Iterable[str]) -> str:
    """Return the names for a message."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def unknown(sort: str, name: str, known: Iterable[str]) -> FaultError:
    """Return the error for a name that is not in a table, with the nearest name that is."""
    near = difflib.get_close_matches(name[:MAX_NAME_SHOWN], list(known), n=1, cutoff=0.75)
    hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(sorted(known))}"
    return FaultError(f"there is no {sort} `{name[:MAX_NAME_SHOWN]}`; {hint}")
