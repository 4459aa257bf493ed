"""One attempt's log, put together from messages that come late, twice, or not at all. Pure.

One rule: each line is given out once, in the order of its number, whatever came before it.
Source: the page `live` of the reference, "Keep a log whole".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

LineT = TypeVar("LineT")
MAX_ASIDE = 10_000


@dataclass(slots=True)
class AttemptLog(Generic[LineT]):
    """How far the log of one attempt is: lines 1 to `have` were given out.

    Lines beyond a hole are kept aside, at most `max_aside` of them; others are dropped and are
    missing again. While `is_held`, nothing is given out.
    """

    have: int = 0
    max_aside: int = MAX_ASIDE
    is_held: bool = False
    head: int = 0
    end: int | None = None
    _aside: dict[int, LineT] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Say whether the attempt is over and all that is known of it was given out."""
        return self.end is not None and self.have >= self.head

    def lines(self, first: int, lines: Sequence[LineT]) -> list[tuple[int, LineT]]:
        """Take lines `first`, `first + 1` …; return those that are due now, with their numbers."""
        self.grown(first + len(lines) - 1)
        due: list[tuple[int, LineT]] = []
        for number, line in enumerate(lines, first):
            if number == self.have + 1 and not self.is_held:
                self._aside.pop(number, None)
                self._give(number, line, due)
            elif number > self.have and len(self._aside) < self.max_aside:
                self._aside.setdefault(number, line)
        return due

    def grown(self, head: int) -> None:
        """Take notice that so many lines are there."""
        self.head = max(self.head, head)

    def ended(self, end: int) -> None:
        """Take notice that the attempt is over with so many lines."""
        # A writer that lost its lease may have written on behind an end that was told already.
        self.end = max(self.end or 0, end)
        self.grown(end)

    def release(self) -> list[tuple[int, LineT]]:
        """Hold nothing back from now on; return the lines that are due."""
        self.is_held = False
        due: list[tuple[int, LineT]] = []
        self._drain(due)
        return due

    def missing(self) -> tuple[int, int] | None:
        """Return the first range of lines that are known to be there and did not come."""
        first = self.have + 1
        while first in self._aside:
            first += 1
        if first > self.head:
            return None
        beyond = min((number for number in self._aside if number > first), default=self.head + 1)
        return first, beyond - 1

    def _give(self, number: int, line: LineT, due: list[tuple[int, LineT]]) -> None:
        due.append((number, line))
        self.have = number
        self._drain(due)

    def _drain(self, due: list[tuple[int, LineT]]) -> None:
        while self.have + 1 in self._aside:
            self.have += 1
            due.append((self.have, self._aside.pop(self.have)))
