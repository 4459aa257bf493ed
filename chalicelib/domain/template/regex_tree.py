"""The parts of a parsed pattern. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Char:
    """Reads one character that passes the test."""

    test: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Assert:
    """Reads nothing; holds between the character before and the one after ("" at an end)."""

    test: Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Seq:
    """All parts, in order."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """Any one of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The node `least` to `most` times; None is without end."""

    of: Node
    least: int
    most: int | None


Node: TypeAlias = Char | Assert | Seq | Alt | Repeat
