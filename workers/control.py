"""The port to the engine: all that a worker says to it and hears from it.

The one rule: a worker knows jobs only through this port; `direct` and `http` pass one contract
suite. Any method may raise UnavailableError: then the caller tries again, later.
Source: decision 10; protocol, "Workers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from chalicelib.domain.event_sources import EventSource
from chalicelib.domain.logs import LogLine
from chalicelib.domain.values import JsonObject, StepRef
from chalicelib.engine.steps import Assignment, Hold, Outcome
from chalicelib.engine.workers import Hello


@dataclass(frozen=True, slots=True)
class Session:
    """One start of one worker, and how often it must be heard, in seconds.

    `pools` are those to ask for work; None: the engine is an older one and does not say.
    """

    worker_id: str
    heartbeat_s: float
    pools: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """Steps to stop, and whether to take no more work and leave.

    `killed` are those of `cancelled` that get no grace. `pools` are those to ask for work from now
    on, `watched` the jobs whose logs somebody watches; None: nothing is said of them.
    """

    cancelled: tuple[StepRef, ...] = ()
    killed: tuple[StepRef, ...] = ()
    drain: bool = False
    pools: tuple[str, ...] | None = None
    watched: frozenset[str] | None = None


# Something that may become work: taking it claims the step. None: it was not to be had.
Offer: TypeAlias = Callable[[], Assignment | None]


class Control(Protocol):
    """How a worker reaches the engine. `register` comes first; then any thread may call."""

    offers_are_claims: bool
    """Whether an offer was claimed before it was taken, so that none may be left lying."""

    def register(self, hello: Hello) -> Session:
        """Open a session, or a new one in place of the one before."""

    def heartbeat(self, running: Sequence[StepRef]) -> Orders:
        """Say that the session lives and what it runs. Raises NotFoundError: no such session."""

    def orders(self, running: Sequence[StepRef]) -> Orders:
        """Ask which of the running steps must stop. It changes nothing, and may be asked often."""

    def offers(self, pool: str, wait_s: float, limit: int) -> Sequence[Offer]:
        """Return up to `limit` (from 1) offers, waiting up to `wait_s` (0 to 20) for the first.

        Taking an offer is done by the thread that then runs the step.
        """

    def append(
        self, hold: Hold, first: int, lines: Sequence[LogLine], *, live: bool = False
    ) -> None:
        """Keep lines `first`, `first + 1` … of an attempt; a repeat changes nothing.

        With `live`, they are pushed to who watches the job.

        Raises:
            FencedError: the attempt is another's now; not every control finds out.
        """

    def complete(self, hold: Hold, outcome: Outcome, *, go_on: bool = False) -> Assignment | None:
        """Report how an attempt ended; a repeat changes nothing.

        With `go_on`, a step that became ready by it may be claimed at once and returned: the
        caller runs it next, in the same slot. Source: protocol, "Chain claim".

        Raises:
            FencedError: the attempt is another's now: drop what it did.
        """

    def emit(self, hold: Hold, source: EventSource, number: int, event: JsonObject) -> None:
        """Start the job of the `number`th event (from 1) of an attempt; a repeat starts no other.

        Raises:
            RateLimitedError: the consumer must wait.
            StroemError: the event is refused for good, or the engine does not answer.
        """

    def archive(self, workspace: str, revision: str) -> bytes:
        """Return a revision's files as tar.gz, checked against their digest.

        Raises:
            NotFoundError: there is no such revision, or it is kept no longer.
        """

    def sign_off(self) -> None:
        """Close the session."""
