"""Regular expressions that cannot run away. Owns the `matching` test's patterns.

The one rule: no backtracking. A pattern becomes a state machine, and the text is read once, so the
time is bounded by text times pattern, and counted by the meter. What such a machine cannot do
(look-around, back-references) is refused, as it is by the library of the language we follow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from chalicelib.domain.template.limits import Meter
from chalicelib.domain.template.regex_parse import parse
from chalicelib.domain.template.regex_tree import Alt, Assert, Char, Node, Repeat, Seq
from chalicelib.domain.template.values import FaultError

MAX_PATTERN = 1_000
MAX_STATES = 5_000

_HITS_PER_UNIT = 8

_States: TypeAlias = frozenset[int]


class _Step(NamedTuple):
    """One instruction: read a character, or go on for free, perhaps on a condition."""

    reads: Callable[[str], bool] | None
    onward: tuple[int, ...]
    condition: Callable[[str, str], bool] | None = None


def matches(pattern: str, text: str, meter: Meter) -> bool:
    """Tell whether the pattern is found anywhere in the text.

    Raises:
        FaultError: the pattern is wrong, too large, or not supported; or the work is used up.
    """
    if len(pattern) > MAX_PATTERN:
        raise FaultError(f"a pattern may have {MAX_PATTERN} characters")
    program, work = _program(pattern)
    meter.charge(work)  # also when it is cached: the count must not depend on the cache
    return _Search(program, meter).found_in(text)


@lru_cache(maxsize=128)
def _program(pattern: str) -> tuple[tuple[_Step, ...], int]:
    """Return the pattern's program and what building it cost."""
    builder = _Builder()
    start = builder.add(parse(pattern), builder.emit(_Step(None, ())))
    return (*builder.steps, _Step(None, (start,))), builder.work + len(pattern)


class _Builder:
    """Builds the program backwards: a node is given where to go on to, and returns its beginning.

    Step 0 is the end: reaching it is a match. The last step is the beginning.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.work = 0

    def emit(self, step: _Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def add(self, node: Node, onward: int) -> int:
        self.work += 1
        if self.work > MAX_STATES:
            raise FaultError(
                f"the pattern is too large once its counts are written out ({MAX_STATES})"
            )
        match node:
            case Char(test):
                return self.emit(_Step(test, (onward,)))
            case Assert(test):
                return self.emit(_Step(None, (onward,), test))
            case Alt(options):
                return self.emit(_Step(None, tuple(self.add(each, onward) for each in options)))
            case Seq(parts):
                for part in reversed(parts):
                    onward = self.add(part, onward)
                return onward
            case Repeat():
                return self._repeat(node, onward)

    def _repeat(self, node: Repeat, onward: int) -> int:
        if node.most is None:
            loop = self.emit(_Step(None, ()))
            self.steps[loop] = _Step(None, (self.add(node.of, loop), onward))
            onward = loop
        else:
            after = onward
            for _ in range(node.most - node.least):
                onward = self.emit(_Step(None, (self.add(node.of, onward), after)))
        for _ in range(node.least):
            onward = self.add(node.of, onward)
        return onward


class _Search:
    """Reads a text once. Sets of states are remembered, so most characters cost one look-up."""

    def __init__(self, program: tuple[_Step, ...], meter: Meter) -> None:
        self.program = program
        self.meter = meter
        self.begin = (len(program) - 1,)
        self.known: dict[tuple[_States, str, str], _States | None] = {}

    def found_in(self, text: str) -> bool:
        self.meter.charge(1 + len(text) // _HITS_PER_UNIT)
        states, before = frozenset(self.begin), ""
        for after in (*text, ""):
            key = (states, _class_of(before), after)
            if key not in self.known:
                self.known[key] = self._advance(states, before, after)
            following = self.known[key]
            if following is None:
                return True
            states, before = following, after
        return False

    def _advance(self, states: _States, before: str, after: str) -> _States | None:
        """Return the states after reading `after`, or None when the end is reached before it.

        The beginning is always among them, as the match may start anywhere.
        """
        reached: set[int] = set()
        todo = list(states)
        following = set(self.begin)
        while todo:
            here = todo.pop()
            if here in reached:
                continue
            reached.add(here)
            step = self.program[here]
            if step.reads is not None:
                if after and step.reads(after):
                    following.update(step.onward)
            elif step.condition is None or step.condition(before, after):
                todo.extend(step.onward)
        self.meter.charge(1 + len(reached))
        return None if 0 in reached else frozenset(following)


def _class_of(before: str) -> str:
    """What an assertion can tell of the character before: none, line break, word, other."""
    if before in {"", "\n"}:
        return before
    return "w" if before.isalnum() or before == "_" else "-"
