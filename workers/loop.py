"""The worker's life: register, ask for work, run it, be heard, and come to an orderly end.

The one rule: work is asked for only with a slot in hand, by one receiver a pool; what runs is said
by one heartbeat; in between, orders are asked for only while a step runs.
Source: protocol, "Workers".
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue

from chalicelib.domain.errors import NotFoundError, RateLimitedError, UnavailableError
from chalicelib.domain.worker import SILENT_AFTER
from chalicelib.engine.workers import Hello
from workers.attempts import Attempt, Kit
from workers.control import Offer, Session
from workers.ending import delays
from workers.receivers import Receivers
from workers.running import Question, Running
from workers.slots import Slots

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. Steps have `grace_s` to end by themselves, reports have `report_s` after that.

    While something runs, orders are asked for every `orders_s`, so that with the grace of ten
    seconds a cancelled step has ended within fifteen.
    """

    grace_s: float = 30.0
    report_s: float = 5.0
    wait_s: float = 20.0
    orders_s: float = 3.0
    silent_after_s: float = SILENT_AFTER.total_seconds()


class _Event(Enum):
    STOP = "stop"
    DRAIN = "drain"
    LOOK = "look"


class Worker:
    """One session after another until it is stopped. `run` belongs to the main thread."""

    def __init__(
        self,
        kit: Kit,
        hello: Hello,
        pools: tuple[str, ...],
        slots: int,
        timing: Timing | None = None,
    ) -> None:
        self._kit = kit
        self._control = kit.control
        self._hello = hello
        self._pools = pools
        self._timing = timing or Timing()
        # Its `put` may be called in a signal handler; an Event's `set` may not.
        self._inbox: SimpleQueue[_Event] = SimpleQueue()
        self._slots = Slots(slots, partial(self._inbox.put, _Event.LOOK))
        self._running = Running()
        look = partial(self._inbox.put, _Event.LOOK)
        wait_s = self._timing.wait_s
        self._receivers = Receivers(kit.control, self._slots, wait_s, self._work, look)
        self._closing = threading.Event()
        self._quit = threading.Event()

    def stop(self) -> None:
        """Come to an end: after the running steps, or at once at the second call.

        May be called in a signal handler.
        """
        self._inbox.put(_Event.STOP)

    def run(self) -> None:
        """Work until stopped.

        Raises:
            StroemError: the engine does not accept this worker.
        """
        session = self._register()
        if session is None:
            return
        threading.Thread(target=self._beat, args=(session,), name="heartbeat", daemon=True).start()
        threading.Thread(target=self._ask_for_orders, name="orders", daemon=True).start()
        self._receivers.ask(self._pools if session.pools is None else session.pools)
        self._await_end()
        self._quit.set()
        self._sign_off()

    def _register(self) -> Session | None:
        """Return the session; None when a stop came before the engine answered."""
        for delay_s in delays():
            try:
                session = self._control.register(self._hello)
            except (UnavailableError, RateLimitedError) as error:
                _log.warning("The engine does not answer", extra={"error": error.message})
            else:
                _log.info("Registered", extra={"worker_id": session.worker_id})
                return session
            try:
                if self._inbox.get(timeout=delay_s) is _Event.STOP:
                    return None
            except Empty:
                continue
        return None

    def _work(self, pool: str, offer: Offer, slot: int) -> None:
        assignment = offer()
        while assignment is not None:
            attempt = Attempt(assignment, self._kit)
            with self._running.listed(attempt):
                if self._kit.ending.has_begun:
                    attempt.stop()
                assignment = attempt.run(slot, partial(self._may_go_on, pool))

    def _may_go_on(self, pool: str) -> bool:
        if self._closing.is_set() or self._slots.is_paused:
            return False
        return self._receivers.may_go_on(pool)

    def _beat(self, session: Session) -> None:
        heard_at = time.monotonic()
        pause_s = session.heartbeat_s
        while not self._quit.wait(pause_s):
            try:
                self._ask(self._control.heartbeat)
            except NotFoundError:
                session = self._register_again(session)
                pause_s = session.heartbeat_s
            except Exception as error:  # noqa: BLE001 - the worker goes on, whatever it is
                pause_s = session.heartbeat_s / 4
                _log.warning("A heartbeat was not heard", extra={"error": str(error)})
                if time.monotonic() - heard_at > self._timing.silent_after_s:
                    self._slots.pause()
            else:
                heard_at = time.monotonic()
                pause_s = session.heartbeat_s
                self._slots.resume()

    def _ask(self, question: Question) -> None:
        orders = self._running.ask(question)
        self._receivers.ask(orders.pools or ())
        if orders.drain:
            self._inbox.put(_Event.DRAIN)

    def _ask_for_orders(self) -> None:
        while not self._quit.wait(self._timing.orders_s):
            if not self._running:
                continue
            try:
                self._ask(self._control.orders)
            except Exception as error:  # noqa: BLE001 - the next question makes up for it
                _log.warning("No orders to be had", extra={"error": str(error)})

    def _register_again(self, session: Session) -> Session:
        _log.warning(
            "The engine does not know this session", extra={"worker_id": session.worker_id}
        )
        try:
            session = self._control.register(self._hello)
            self._receivers.ask(session.pools or ())
        except Exception as error:  # noqa: BLE001 - the next heartbeat comes back to it
            _log.warning("No new session", extra={"error": str(error)})
        return session

    def _await_end(self) -> None:
        while (event := self._inbox.get()) is _Event.LOOK:
            pass
        _log.info("No more work is taken", extra={"running": len(self._running)})
        self._closing.set()
        self._receivers.close()
        self._slots.close()
        is_idle = event is _Event.DRAIN and self._await_idle(None)
        if is_idle or self._await_idle(self._timing.grace_s):
            return
        self._kit.ending.begin(self._timing.report_s)
        self._running.stop()
        if not self._await_idle(self._timing.report_s + 1):
            _log.error("Steps are left behind", extra={"running": len(self._running)})

    def _await_idle(self, within_s: float | None) -> bool:
        """Wait until nothing runs; return False when the time is over or another stop came."""
        deadline = None if within_s is None else time.monotonic() + within_s
        while not self._is_idle():
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                if self._inbox.get(timeout=left_s) is _Event.STOP:
                    return False
            except Empty:
                return False
        return True

    def _is_idle(self) -> bool:
        # An unanswered question may already have claimed a step, where offers are claims.
        may_bring_work = self._control.offers_are_claims and self._receivers.is_asking
        return not may_bring_work and self._slots.is_idle

    def _sign_off(self) -> None:
        try:
            self._control.sign_off()
        except Exception as error:  # noqa: BLE001 - the sweep finds out anyway
            _log.warning("Could not sign off", extra={"error": str(error)})
