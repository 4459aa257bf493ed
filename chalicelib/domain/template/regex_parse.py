"""Reads a pattern into its tree. Owns the syntax of patterns.

The one rule: what is not known is refused by name, never read as something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from chalicelib.domain.template.limits import MAX_EXPRESSION_NESTING
from chalicelib.domain.template.regex_tree import Alt, Assert, Char, Node, Repeat, Seq
from chalicelib.domain.template.values import FaultError

MAX_REPEAT = 1_000
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
_GROUP = re.compile(r"\?(?:P?<[A-Za-z_]\w*>|([ism]*)(:|\)))", re.ASCII)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|x\{([0-9A-Fa-f]{1,4})\}")

_Test: TypeAlias = Callable[[str], bool]


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


_CLASSES: dict[str, _Test] = {"d": str.isdecimal, "w": _is_word, "s": str.isspace}


def parse(pattern: str) -> Node:
    """Return the pattern's tree.

    Raises:
        FaultError: the pattern is wrong or uses what is not supported.
    """
    return _Parser(pattern).whole()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.flags: frozenset[str] = frozenset()

    def whole(self) -> Node:
        tree = self._alternatives()
        if self.at < len(self.pattern):
            raise self._wrong("a `)` that closes nothing")
        return tree

    def _wrong(self, why: str) -> FaultError:
        return FaultError(f"the pattern is wrong at character {self.at + 1}: {why}")

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _take(self, why: str) -> str:
        char = self._peek()
        if not char:
            raise self._wrong(why)
        self.at += 1
        return char

    def _alternatives(self) -> Node:
        self.depth += 1
        if self.depth > MAX_EXPRESSION_NESTING:
            raise self._wrong("its groups are nested too deep")
        options = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            options.append(self._sequence())
        self.depth -= 1
        return options[0] if len(options) == 1 else Alt(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._repeated(self._atom()))
        return Seq(tuple(parts))

    def _repeated(self, node: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        if isinstance(node, Assert):
            raise self._wrong("an anchor cannot be repeated")
        if self._peek() == "?":  # lazy or greedy finds the same, when only finding is asked
            self.at += 1
        if self._bounds() is not None:
            raise self._wrong("two repetitions in a row; put the first into a group")
        return Repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self._peek() in simple:
            return simple[self._take("")]
        if self._peek() != "{":
            return None
        found = _COUNT.match(self.pattern, self.at)
        if found is None:
            raise self._wrong("a count is `{2}`, `{2,}` or `{2,5}`; a brace itself is `\\{`")
        self.at = found.end()
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if (most is not None and most < least) or max(least, most or 0) > MAX_REPEAT:
            raise self._wrong(f"a count goes up, and at most to {MAX_REPEAT}")
        return least, most

    def _atom(self) -> Node:
        char = self._take("something is missing")
        by_lines = "m" in self.flags
        node: Node
        match char:
            case "(":
                node = self._group()
            case "[":
                node = Char(self._folded(self._set()))
            case ".":
                node = Char(_anything if "s" in self.flags else _but_newline)
            case "^":
                node = Assert(_line_start if by_lines else _text_start)
            case "$":
                node = Assert(_line_end if by_lines else _text_end)
            case "\\":
                node = self._escape()
            case _:
                if char in "*+?{":
                    raise self._wrong(f"there is nothing before `{char}` to repeat")
                node = Char(self._folded(_is(char)))
        return node

    def _group(self) -> Node:
        outer = self.flags
        if self._peek() == "?":
            found = _GROUP.match(self.pattern, self.at)
            if found is None:
                raise self._wrong("this kind of group (look-around and the like) is not supported")
            self.at = found.end()
            self.flags = outer | frozenset(found[1] or "")
            if found[2] == ")":  # flags alone hold for the rest of the enclosing group
                return Seq(())
        inner = self._alternatives()
        if self._peek() != ")":
            raise self._wrong("a `(` is not closed")
        self.at += 1
        self.flags = outer
        return inner

    def _escape(self) -> Node:
        char = self._peek()
        anchors = {"b": _boundary, "B": _no_boundary, "A": _text_start, "z": _text_end}
        if char in anchors:
            self.at += 1
            return Assert(anchors[char])
        return Char(self._folded(self._escaped()))

    def _escaped(self) -> _Test:
        found = _HEX.match(self.pattern, self.at)
        if found:
            self.at = found.end()
            return _is(chr(int(found[1] or found[2] or found[3], 16)))
        char = self._take("a `\\` stands at the end")
        if char.lower() in _CLASSES:
            test = _CLASSES[char.lower()]
            return test if char.islower() else _not(test)
        if char in _ESCAPES:
            return _is(_ESCAPES[char])
        if char.isalnum():
            raise self._wrong(f"`\\{char}` is not supported")
        return _is(char)

    def _set(self) -> _Test:
        negated = self._peek() == "^"
        self.at += negated
        tests: list[_Test] = []
        while self._peek() != "]" or not tests:
            if self.pattern.startswith(("[", "&&", "--", "~~"), self.at):
                raise self._wrong("sets inside sets are not supported; a bracket itself is `\\[`")
            tests.append(self._member())
        self.at += 1
        found = _any(tests)
        return _not(found) if negated else found

    def _member(self) -> _Test:
        low = self._take("a `[` is not closed")
        if low == "\\":
            return self._escaped()
        if self._peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in {"]", ""}:
            return _is(low)
        self.at += 1
        high = self._take("a `[` is not closed")
        if high == "\\":
            high = self._take("a `\\` stands at the end")
        if high < low:
            raise self._wrong("a range goes from low to high")
        return lambda char: low <= char <= high

    def _folded(self, test: _Test) -> _Test:
        if "i" not in self.flags:
            return test
        return lambda char: test(char) or test(char.lower()) or test(char.upper())


def _is(wanted: str) -> _Test:
    return lambda char: char == wanted


def _not(test: _Test) -> _Test:
    return lambda char: not test(char)


def _any(tests: list[_Test]) -> _Test:
    return lambda char: any(test(char) for test in tests)


def _anything(_: str) -> bool:
    return True


def _but_newline(char: str) -> bool:
    return char != "\n"


def _text_start(before: str, _: str) -> bool:
    return not before


def _text_end(_: str, after: str) -> bool:
    return not after


def _line_start(before: str, _: str) -> bool:
    return before in {"", "\n"}


def _line_end(_: str, after: str) -> bool:
    return after in {"", "\n"}


def _boundary(before: str, after: str) -> bool:
    return (bool(before) and _is_word(before)) != (bool(after) and _is_word(after))


def _no_boundary(before: str, after: str) -> bool:
    return not _boundary(before, after)
