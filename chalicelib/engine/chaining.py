"""The worker that ends a step goes on with the next one itself, without asking the queue.

The one rule: one message at most is kept back, and only for as long as its claim takes; what
cannot be claimed goes the usual way. What is lost in between, the sweep sends again.
Source: protocol, "Chain claim".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.domain.errors import StroemError, TemplateError
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.advance import advance_from
from chalicelib.engine.attempts import Ending, end_attempt
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports import Message, Queue, Received
from chalicelib.engine.steps import (
    Assignment,
    Hold,
    Outcome,
    begin_claimed,
    claim,
    complete,
    hand_back,
    take_lease,
)


@dataclass(frozen=True, slots=True)
class Taker:
    """Who would run the next step: a session, its worker's name, the pools that it works for."""

    session: str
    worker: str
    pools: Collection[str]


class KeepingQueue:
    """The given queue, but for the first message that goes at once to one of the pools."""

    def __init__(self, queue: Queue, pools: Collection[str]) -> None:
        self._queue = queue
        self._pools = pools
        self._kept: tuple[str, Message] | None = None

    def take_kept(self) -> tuple[str, Message] | None:
        """Return the pool and the message that were kept back, once."""
        kept, self._kept = self._kept, None
        return kept

    def send(self, pool: str, messages: Sequence[tuple[Message, int]]) -> None:
        rest = list(messages)
        if self._kept is None and pool in self._pools:
            at_once = next((one for one in rest if one[1] == 0), None)
            if at_once is not None:
                rest.remove(at_once)
                self._kept = (pool, at_once[0])
        if rest:
            self._queue.send(pool, rest)

    def receive(self, pool: str, wait_s: float, limit: int) -> list[Received]:
        return self._queue.receive(pool, wait_s, limit)

    def delete(self, received: Received) -> None:
        self._queue.delete(received)


def complete_and_claim(
    engine: Engine, hold: Hold, outcome: Outcome, taker: Taker
) -> Assignment | None:
    """Complete the attempt, and claim one step that became ready by it for the same worker.

    None: there is none, or it goes by the queue. A repeat completes nothing twice, but it does not
    bring the claimed step again.

    Raises:
        FencedError: the lease does not hold the step.
    """
    heir = _heir(engine, hold, outcome, taker)
    if heir is not None:
        return _complete_into(engine, hold, outcome, heir, taker)
    queue = KeepingQueue(engine.queue, taker.pools)
    try:
        complete(replace(engine, queue=queue), hold, outcome)
    except StroemError:
        _send_on(engine, queue.take_kept())
        raise
    kept = queue.take_kept()
    if kept is None:
        return None
    try:
        return claim(engine, kept[1], taker.session, taker.worker)
    except TemplateError:
        # The step is ended as failed, and says why.
        return None
    except StroemError:
        # The report was accepted, whatever became of the step behind it.
        _send_on(engine, kept)
        return None


def _heir(engine: Engine, hold: Hold, outcome: Outcome, taker: Taker) -> str | None:
    """Return the step that this end alone makes ready, if the taker may run it."""
    plan = engine.known_plan(hold.ref.job_id)
    if plan is None or outcome.error is not None or outcome.cancelled:
        return None
    heir = plan.flow.heirs.get(hold.ref.step)
    if heir is None or plan.pool_of(heir) not in taker.pools:
        return None
    return heir


def _complete_into(
    engine: Engine, hold: Hold, outcome: Outcome, heir: str, taker: Taker
) -> Assignment | None:
    """Complete the attempt, claim its heir, and read the job once for all that follows.

    The heir depends on nothing else, so its claim need not wait to hear that it is ready. The read
    comes after the claim, as `cancel` needs it.
    """
    record = end_attempt(engine, hold, Ending(StepStatus.COMPLETED, output=outcome.output))
    message = Message(StepRef(hold.ref.job_id, heir), 1)
    # Nothing follows from the end of a step that its job's cancellation reached first.
    taken = None if record.halted else _taken(engine, message, taker)
    try:
        state = engine.jobs.load(hold.ref.job_id)
        advance_from(engine, state, hold.ref.step)
    except StroemError:
        # The report comes again, and with it the heir.
        if taken is not None:
            with suppress(StroemError):
                hand_back(engine, taken)
        raise
    if taken is None:
        return None
    try:
        return begin_claimed(engine, taken, state)
    except TemplateError:
        return None
    except StroemError:
        plan = engine.plan_of(state.job)
        _send_on(engine, (plan.pool_of(heir), message))
        return None


def _taken(engine: Engine, message: Message, taker: Taker) -> Hold | None:
    """Claim the heir; where that cannot be tried, it goes by the queue."""
    try:
        return take_lease(engine, message, taker.session, taker.worker)
    except StroemError:
        return None


def _send_on(engine: Engine, kept: tuple[str, Message] | None) -> None:
    if kept is not None:
        with suppress(StroemError):
            engine.queue.send(kept[0], [(kept[1], 0)])
