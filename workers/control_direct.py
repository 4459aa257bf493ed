"""Control by the engine's own use cases in this process: for a worker that the account trusts.

The one rule: nothing is decided here; each method is one use case.
Source: decision 10.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from chalicelib.domain.errors import TemplateError, UnavailableError
from chalicelib.domain.event_sources import EventSource
from chalicelib.domain.logs import LogLine
from chalicelib.domain.pools import Reach
from chalicelib.domain.values import JsonObject, StepRef
from chalicelib.domain.worker import HEARTBEAT_S
from chalicelib.engine import emitting, job_logs, steps, workers
from chalicelib.engine.chaining import Taker, complete_and_claim
from chalicelib.engine.emitting import Event
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import load_blob
from chalicelib.engine.ports import Received
from chalicelib.engine.steps import Assignment, Hold, Outcome
from chalicelib.engine.workers import Hello
from workers.control import Offer, Orders, Session

_log = logging.getLogger(__name__)


class DirectControl:
    """The engine, called in place."""

    offers_are_claims = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session = ""
        self._name = ""
        self._reach = Reach(frozenset())

    def register(self, hello: Hello) -> Session:
        record = workers.register(self._engine, hello)
        self._session, self._name = record.worker_id, record.name
        self._reach = workers.reach_of(record)
        known = workers.pools_of(self._engine, record)
        # This process's settings may know fewer pools than the installation has.
        pools = self._reach.of([*known, *record.capabilities])
        return Session(record.worker_id, HEARTBEAT_S, pools)

    def heartbeat(self, running: Sequence[StepRef]) -> Orders:
        return _orders(workers.heartbeat(self._engine, self._session, running))

    def orders(self, running: Sequence[StepRef]) -> Orders:
        return _orders(workers.orders(self._engine, running))

    def offers(self, pool: str, wait_s: float, limit: int) -> Sequence[Offer]:
        received = self._engine.queue.receive(pool, wait_s, limit)
        return [partial(self._take, one) for one in received]

    def _take(self, received: Received) -> Assignment | None:
        try:
            return workers.take(self._engine, received, self._session, self._name)
        except TemplateError as error:
            ref = received.message.ref
            extra = {"job_id": ref.job_id, "step": ref.step, "error": error.message}
            _log.warning("A step failed before it began: its templates do not render", extra=extra)
        except UnavailableError as error:
            # The queue gives the message out again.
            _log.warning("A step could not be claimed", extra={"error": error.message})
        return None

    def append(
        self, hold: Hold, first: int, lines: Sequence[LogLine], *, live: bool = False
    ) -> None:
        job_logs.append_lines(self._engine, hold.ref, hold.attempt, first, lines, live=live)

    def complete(self, hold: Hold, outcome: Outcome, *, go_on: bool = False) -> Assignment | None:
        if not go_on:
            steps.complete(self._engine, hold, outcome)
            return None
        taker = Taker(self._session, self._name, self._reach)
        return complete_and_claim(self._engine, hold, outcome, taker)

    def emit(self, hold: Hold, source: EventSource, number: int, event: JsonObject) -> None:
        told = Event(
            workspace=source.workspace,
            task=source.target_task,
            source_id=source.source_id,
            input=event,
            hold=hold,
            number=number,
        )
        emitting.emit(self._engine, told)

    def archive(self, workspace: str, revision: str) -> bytes:
        record = self._engine.registry.revision(workspace, revision)
        return load_blob(self._engine.blobs, record.archive)

    def sign_off(self) -> None:
        workers.sign_off(self._engine, self._session)


def _orders(found: workers.Orders) -> Orders:
    return Orders(found.cancelled, found.killed, pools=found.pools, watched=found.watched)
