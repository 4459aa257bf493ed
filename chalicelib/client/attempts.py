"""The logs of a job's attempts: what is due, what is missing, and what is whole. Pure.

One rule: lines of an attempt come after all lines of the attempts of its step before it; of those
an `end` was heard, or the server was asked for everything up to the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from chalicelib.client.events import AttemptChanged, Line
from chalicelib.client.merge import AttemptLog

# What comes out of order is there within this; a hole that is older is asked for.
GRACE_S = 0.3
# An answer that has not come within this is lost.
ANSWER_S = 10.0
_AGAIN_S = 1.0
_MOST_ASKED = 8
_MAX_HAVE_BYTES = 24 * 1024
_MOST_HAVE = 1000
# The server looks at 20 messages a second, and others are sent beside these.
_ASK_EVERY_S = 0.1
LineRow = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Range:
    """Lines to be asked for under an id; without `last` all to the end.

    `is_final`: no line can follow what comes, for the attempt is over.
    """

    id: str
    step: str
    attempt: int
    first: int
    last: int | None
    is_final: bool = False


@dataclass(slots=True)
class _Attempt:
    step: str
    number: int
    log: AttemptLog[LineRow] = field(default_factory=AttemptLog)
    heard_at: float = 0.0
    lacks_since: float | None = None
    asked_until: float = 0.0
    is_unsure: bool = False
    is_verified: bool = False

    @property
    def is_settled(self) -> bool:
        return self.log.is_complete or (self.is_verified and self.log.missing() is None)


@dataclass(slots=True)
class Attempts:
    """All attempts of a job that were heard of. Times are those of a monotonic clock."""

    _steps: dict[str, dict[int, _Attempt]] = field(default_factory=dict)
    _open: dict[tuple[str, int], _Attempt] = field(default_factory=dict)
    _asked: dict[str, tuple[_Attempt, Range]] = field(default_factory=dict)
    _shown: dict[str, int] = field(default_factory=dict)
    _ids: int = 0
    _ask_at: float = 0.0

    @property
    def are_settled(self) -> bool:
        """Say whether every attempt is told to its end."""
        return not self._open

    @property
    def are_unsure(self) -> bool:
        """Say whether the server is still to be asked how many lines an attempt has."""
        return any(found.is_unsure for found in self._open.values())

    def has_begun(self, step: str) -> bool:
        """Say whether an attempt of the step was heard of."""
        return step in self._steps

    def have(self) -> list[list[Any]]:
        """Return what a new connection is to be told: `[step, attempt, last]`, largest first.

        What has no room in a message is left out: it comes twice, and is dropped.
        """
        logs = sorted(self._all(), key=lambda found: found.log.have, reverse=True)[:_MOST_HAVE]
        found = [[a.step, a.number, a.log.have] for a in logs if a.log.have]
        sizes = accumulate(len(json.dumps(one)) + 1 for one in found)
        return [one for one, size in zip(found, sizes, strict=True) if size < _MAX_HAVE_BYTES]

    def given(self) -> dict[str, int]:
        """Return how many lines of each step were given out."""
        return {
            step: sum(a.log.have for a in numbered.values())
            for step, numbered in self._steps.items()
        }

    def begun(self, step: str, number: int, now: float, *, is_unsure: bool = False) -> None:
        """Take notice of an attempt, and so of those before it.

        `is_unsure`: the server has not told how many lines there are, and is to be asked.
        """
        numbered = self._steps.setdefault(step, {})
        for one in range(1, number + 1):
            if one not in numbered:
                found = _Attempt(step, one, heard_at=now, is_unsure=is_unsure)
                numbered[one] = found
                found.log.is_held = any(not numbered[n].is_settled for n in range(1, one))
                self._open[step, one] = found

    def lines(
        self, step: str, number: int, first: int, rows: Sequence[LineRow], now: float
    ) -> Iterator[Line | AttemptChanged]:
        """Take lines; yield what is due."""
        found = self._heard(step, number, now)
        yield from self._due(found, found.log.lines(first, rows))
        yield from self._settle(found)

    def head(
        self, step: str, number: int, head: int, now: float, *, has_ended: bool = False
    ) -> Iterator[Line | AttemptChanged]:
        """Take notice of how many lines are there; yield what is due by it."""
        found = self._heard(step, number, now)
        if has_ended:
            found.log.ended(head)
        else:
            found.log.grown(head)
        yield from self._settle(found)

    def answered(
        self, message_id: str, *, is_refused: bool = False
    ) -> Iterator[Line | AttemptChanged]:
        """Take notice that a range has come whole, or that there is none; yield what is due."""
        found, asked = self._asked.pop(message_id, (None, None))
        if found is None or asked is None:
            return
        found.asked_until, found.lacks_since = 0.0, None
        if is_refused:
            found.log.head = found.log.have
        found.is_unsure = found.is_unsure and asked.last is not None
        found.is_verified = found.is_verified or is_refused or asked.is_final
        yield from self._settle(found)

    def failed(self, message_id: str, now: float) -> None:
        """Take notice that a range was not given now; it is asked for again in a moment."""
        found, _ = self._asked.pop(message_id, (None, None))
        if found is not None:
            found.asked_until = now + _AGAIN_S

    def reopened(self) -> None:
        """Forget what was asked on a connection that is over."""
        self._asked.clear()
        for found in self._open.values():
            found.asked_until = 0.0

    def wanted(self, now: float, *, is_ending: bool) -> list[Range]:
        """Return the ranges to ask for now; with `is_ending`, tails that are not sure too."""
        for message_id, (found, _) in list(self._asked.items()):
            if found.asked_until <= now:
                del self._asked[message_id]
        asked: list[Range] = []
        for found, first, last in self._lacking(now, is_ending=is_ending):
            if len(self._asked) < _MOST_ASKED and now >= self._ask_at:
                self._ask_at = now + _ASK_EVERY_S
                is_final = last is None and (is_ending or self._is_followed(found))
                asked.append(self._ask(found, first, last, now, is_final=is_final))
        return asked

    def lacks_any(self) -> bool:
        """Say whether a hole may be old enough to be asked for soon."""
        return any(found.lacks_since is not None for found in self._open.values())

    def quiet_since(self) -> float | None:
        """Return when the quietest attempt that runs was heard last; None: none runs."""
        return min((a.heard_at for a in self._open.values() if a.log.end is None), default=None)

    def _lacking(
        self, now: float, *, is_ending: bool
    ) -> Iterator[tuple[_Attempt, int, int | None]]:
        for found in list(self._open.values()):
            if found.log.is_held or found.asked_until > now:
                continue
            hole: tuple[int, int | None] | None = found.log.missing()
            if hole is None and (is_ending or found.is_unsure or self._is_followed(found)):
                hole = (found.log.have + 1, None)
            if hole is None:
                found.lacks_since = None
            elif found.lacks_since is None:
                found.lacks_since = now
            elif now - found.lacks_since >= GRACE_S:
                yield found, *hole

    def _is_followed(self, found: _Attempt) -> bool:
        return found.number < len(self._steps[found.step])

    def _ask(
        self, found: _Attempt, first: int, last: int | None, now: float, *, is_final: bool
    ) -> Range:
        self._ids += 1
        asked = Range(f"range-{self._ids}", found.step, found.number, first, last, is_final)
        found.asked_until = now + ANSWER_S
        self._asked[asked.id] = (found, asked)
        return asked

    def _heard(self, step: str, number: int, now: float) -> _Attempt:
        self.begun(step, number, now)
        found = self._steps[step][number]
        found.heard_at = now
        return found

    def _due(
        self, found: _Attempt, due: Sequence[tuple[int, LineRow]]
    ) -> Iterator[Line | AttemptChanged]:
        for number, row in due:
            if self._shown.get(found.step, 1) != found.number:
                yield AttemptChanged(found.step, found.number)
            self._shown[found.step] = found.number
            yield Line.of(found.step, found.number, number, row)

    def _settle(self, found: _Attempt) -> Iterator[Line | AttemptChanged]:
        """Let those go that waited for this attempt to be whole."""
        if found.log.is_held or not found.is_settled:
            self._open[found.step, found.number] = found
            return
        if self._open.pop((found.step, found.number), None) is None:
            return
        following = self._steps[found.step].get(found.number + 1)
        if following is not None and following.log.is_held:
            yield from self._due(following, following.log.release())
            yield from self._settle(following)

    def _all(self) -> Iterator[_Attempt]:
        for numbered in self._steps.values():
            yield from numbered.values()
