"""What a viewer saw, held against what was printed. Pure.

One rule: a line is known by its text, never by the number it came with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.viewers.job import Printed
from chalicelib.client.events import Line

_MOST_SAID = 3


@dataclass
class Verdict:
    """How many lines were right, and how many not, by what is wrong; `said` has the first few."""

    seen: int = 0
    missing: int = 0
    doubled: int = 0
    disordered: int = 0
    wrong: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Say whether each line was seen once, in order, as it was printed."""
        return not (self.missing or self.doubled or self.disordered or self.wrong)

    def say(self, fault: str) -> None:
        """Keep a fault in words, if it is one of the first."""
        if len(self.said) < _MOST_SAID:
            self.said.append(fault)


def judge(
    printed: Mapping[str, Sequence[Printed]], told: Sequence[Line], polled_from: int | None = None
) -> Verdict:
    """Hold what was told, in the order in which it came, against what was printed.

    `polled_from`: from this one on, numbers of lines count in their step, not in their attempt.
    """
    reading = _Reading(printed)
    live = len(told) if polled_from is None else polled_from
    for at, line in enumerate(told):
        reading.take(line, is_polled=at >= live)
    return reading.ended()


class _Reading:
    """What was told up to here."""

    def __init__(self, printed: Mapping[str, Sequence[Printed]]) -> None:
        self._places = {
            (step, one.text): (place, one)
            for step, lines in printed.items()
            for place, one in enumerate(lines, 1)
        }
        self._found: set[tuple[str, str]] = set()
        self._furthest = dict.fromkeys(printed, 0)
        self._verdict = Verdict()

    def take(self, line: Line, *, is_polled: bool) -> None:
        key, verdict = (line.step, line.text), self._verdict
        if key not in self._places:
            verdict.wrong += 1
            verdict.say(f"nobody printed {line.step!r} {line.number}: {line.text[:80]!r}")
        elif key in self._found:
            verdict.doubled += 1
            verdict.say(f"came twice: {line.text!r}")
        else:
            self._found.add(key)
            place, one = self._places[key]
            self._check_name(line, one, place if is_polled else None)
            self._check_order(line, place)

    def _check_name(self, line: Line, one: Printed, place: int | None) -> None:
        as_it_is = (line.attempt, line.number) == (one.attempt, one.number)
        if not (as_it_is if place is None else line.number == place):
            self._verdict.wrong += 1
            self._verdict.say(
                f"came as line {line.number} of attempt {line.attempt}: {line.text!r}"
            )

    def _check_order(self, line: Line, place: int) -> None:
        if place < self._furthest[line.step]:
            self._verdict.disordered += 1
            self._verdict.say(f"came too late: {line.text!r}")
        self._furthest[line.step] = max(self._furthest[line.step], place)

    def ended(self) -> Verdict:
        missing = [text for step, text in self._places if (step, text) not in self._found]
        self._verdict.seen, self._verdict.missing = len(self._found), len(missing)
        if missing:
            self._verdict.say(f"missing: {missing[0]!r} to {missing[-1]!r}")
        return self._verdict


def end_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a job ended, and each step of it, from its detail as the REST API shows it."""
    steps = {step["step_name"]: step["status"] for step in job.get("steps", ())}
    return {"status": job.get("status"), "at": job.get("completed_at"), "steps": steps}
