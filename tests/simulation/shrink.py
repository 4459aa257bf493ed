"""Make a failing run smaller: take its parts away, one after the other, while it still fails.

One rule: a smaller run counts only if it breaks an invariant of the same kind.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tests.simulation.cases import Case, parts_of
from tests.simulation.run import simulate

# Without a part the events come in another order: a few orders are tried before it stays.
SALTS = 6
ROUNDS = 3
_NAMES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[a-z]{1,2}\d+\b|\d+")


def kind_of(violation):
    """Return what is the same in two violations of one kind."""
    return _NAMES.sub("#", violation)[:60]


def shrink(seed, build=None, *, salts=SALTS, most=4000, say=lambda _: None):
    """Return the smallest case found of the seed's family that still fails, and its result.

    `most` bounds the runs; `say` hears of progress.
    """
    return _Shrinking(seed, build, salts, most, say).run()


class _Shrinking:
    def __init__(self, seed, build, salts, most, say):
        self._build = build
        self._salts = salts
        self._left = most
        self._say = say
        self.case = Case(seed)
        self.result = simulate(self.case, build)
        self._kind = kind_of(self.result.violation or "")

    def run(self):
        if self.result.violation is None:
            return self.case, self.result
        for _ in range(ROUNDS):
            before = self.case
            names = [*self.result.parts, *parts_of(self.result.drawn)]
            self._take_away([n for n in dict.fromkeys(names) if n not in self.case.without])
            if self.case == before:
                break
        return self.case, self.result

    def _take_away(self, names):
        """Try halves, then halves of those, down to single parts."""
        size = len(names)
        while size:
            for first in range(0, len(names), size):
                chunk = [n for n in names[first : first + size] if n not in self.case.without]
                if chunk and self._left > 0:
                    self._try(frozenset(chunk))
            size //= 2
        self._say(f"{len(self.case.without)} parts taken away: {self.result.calls} calls")

    def _try(self, more):
        for salt in dict.fromkeys((self.case.salt, *range(self._salts))):
            self._left -= 1
            smaller = replace(self.case, salt=salt, without=self.case.without | more)
            result = simulate(smaller, self._build)
            is_same = result.violation and kind_of(result.violation) == self._kind
            if is_same and result.calls <= 2 * self.result.calls:
                self.case, self.result = smaller, result
                return
