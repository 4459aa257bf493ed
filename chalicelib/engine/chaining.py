"""The worker that ends a step goes on with the next one itself, without asking the queue.

The one rule: one message at most is kept back, and only for as long as its claim takes; what
cannot be claimed goes the usual way. What is lost in between, the sweep sends again.
Source: protocol, "Chain claim".
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.domain.errors import StroemError, TemplateError
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker_groups import EVERYTHING, Scope
from chalicelib.engine.advance import advance_from
from chalicelib.engine.attempts import Ending, accept_end
from chalicelib.engine.engine import Engine, Plan
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
    """Who would run the next step: a session, its worker's name, the pools that it works for.

    `scope` says for which workspaces.
    """

    session: str
    worker: str
    pools: Container[str]
    scope: Scope = EVERYTHING


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that was not sent, and where it would have gone."""

    pool: str
    message: Message
    group: str | None = None


class KeepingQueue:
    """The given queue, but for the first message that goes at once to one of the pools."""

    def __init__(self, queue: Queue, pools: Container[str], scope: Scope = EVERYTHING) -> None:
        self._queue = queue
        self._pools = pools
        self._scope = scope
        self._kept: Kept | None = None

    def take_kept(self) -> Kept | None:
        """Return what was kept back, once."""
        kept, self._kept = self._kept, None
        return kept

    def send(
        self, pool: str, messages: Sequence[tuple[Message, int]], group: str | None = None
    ) -> None:
        rest = list(messages)
        if self._kept is None and pool in self._pools and self._serves(group):
            at_once = next((one for one in rest if one[1] == 0), None)
            if at_once is not None:
                rest.remove(at_once)
                self._kept = Kept(pool, at_once[0], group)
        if rest:
            self._queue.send(pool, rest, group)

    def _serves(self, workspace: str | None) -> bool:
        """Say whether the message may be kept: it is sent in the group of its job's workspace."""
        if workspace is None:
            return self._scope.workspaces is None
        return self._scope.has_workspace(workspace)

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
    plan = engine.known_plan(hold.ref.job_id)
    if taker.scope.workspaces is not None and _uses_others(engine, plan, hold):
        # Whether the taker serves them, too, is asked where steps come from the queue.
        complete(engine, hold, outcome)
        return None
    heir = _heir(plan, hold, outcome, taker) if plan else None
    if plan is not None and heir is not None:
        return _complete_into(engine, plan, hold, outcome, heir, taker)
    queue = KeepingQueue(engine.queue, taker.pools, taker.scope)
    try:
        complete(replace(engine, queue=queue), hold, outcome)
    except StroemError:
        _send_on(engine, queue.take_kept())
        raise
    kept = queue.take_kept()
    if kept is None:
        return None
    try:
        return claim(engine, kept.message, taker.session, taker.worker)
    except TemplateError:
        # The step is ended as failed, and says why.
        return None
    except StroemError:
        # The report was accepted, whatever became of the step behind it.
        _send_on(engine, kept)
        return None


def _uses_others(engine: Engine, plan: Plan | None, hold: Hold) -> bool:
    plan = plan or engine.plan_of(engine.jobs.get(hold.ref.job_id))
    return bool(plan.owners)


def _heir(plan: Plan, hold: Hold, outcome: Outcome, taker: Taker) -> str | None:
    """Return the step that this end alone makes ready, if the taker may run it."""
    if outcome.error is not None or outcome.cancelled:
        return None
    heir = plan.flow.heirs.get(hold.ref.step)
    return heir if heir is not None and plan.pool_of(heir) in taker.pools else None


def _complete_into(
    engine: Engine, plan: Plan, hold: Hold, outcome: Outcome, heir: str, taker: Taker
) -> Assignment | None:
    """Complete the attempt, claim its heir, and read the job once for all that follows.

    The heir depends on nothing else, so its claim need not wait to hear that it is ready. The read
    comes after the claim, as `cancel` needs it. Where nothing but the heir follows from the end,
    it is only of META and of what the heir's templates name.
    """
    record = accept_end(engine, hold, Ending(StepStatus.COMPLETED, output=outcome.output))
    message = Message(StepRef(hold.ref.job_id, heir), 1)
    # Nothing follows from the end of a step that its job's cancellation reached first.
    taken = None if record.halted else _taken(engine, message, taker)
    state = None
    if taken is None or hold.ref.step not in plan.flow.single:
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
        _send_on(engine, Kept(plan.pool_of(heir), message))
        return None


def _taken(engine: Engine, message: Message, taker: Taker) -> Hold | None:
    """Claim the heir; where that cannot be tried, it goes by the queue."""
    try:
        return take_lease(engine, message, taker.session, taker.worker)
    except StroemError:
        return None


def _send_on(engine: Engine, kept: Kept | None) -> None:
    if kept is not None:
        with suppress(StroemError):
            engine.open_pool(kept.pool)
            engine.queue.send(kept.pool, [(kept.message, 0)], kept.group)
