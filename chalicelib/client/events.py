"""What is told to those who follow a job or watch a workspace.

One rule: a line is told once, those of a step's attempt in order, and those of an attempt before
those of the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log. `number` counts from 1 in its attempt.

    Where the server was polled `attempt` is what the time of the line tells, and `number` counts
    in the step. `ts` is an RFC 3339 time in UTC, `stream` is `stdout` or `stderr`.
    """

    step: str
    attempt: int
    number: int
    stream: str
    ts: str
    text: str

    @classmethod
    def of(cls, step: str, attempt: int, number: int, row: Mapping[str, str]) -> Line:
        """Return a line as the server tells it."""
        return cls(step, attempt, number, row["stream"], row["ts"], row["line"])

    @property
    def row(self) -> dict[str, str]:
        """Return the line with the members that the REST API gives it."""
        return {"ts": self.ts, "stream": self.stream, "step": self.step, "line": self.text}


@dataclass(frozen=True, slots=True)
class AttemptChanged:
    """The next lines of this step are those of another attempt than those before."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StepChanged:
    """A step has another status now. `row` has the members that the REST API gives a step."""

    step: str
    status: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobChanged:
    """Something of a job changed. `row` is the job as the REST API shows it.

    Whoever follows a job gets it with its `steps`, and the last one with all members.
    """

    job_id: str
    status: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that was there at the beginning has been told; what follows is new."""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection was lost, and another goes on where it ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class FellBack:
    """There are no live updates: the server is asked again and again instead."""

    reason: str


Event: TypeAlias = (
    Line | AttemptChanged | StepChanged | JobChanged | CaughtUp | Reconnected | FellBack
)
