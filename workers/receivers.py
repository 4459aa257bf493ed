"""Ask the pools for work: one receiver for each, with a slot in hand.

The one rule: when a slot comes free, the lane of the most urgent work is asked first; the others
are asked at once when it has none.
Source: protocol, "Workers".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from chalicelib.domain.pools import priority_of
from chalicelib.domain.workflow import Priority
from workers.control import Control, Offer
from workers.ending import delays
from workers.slots import Slots

_log = logging.getLogger(__name__)

MAX_OFFERS = 10
SHARED_WAIT_S = 2.0

_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


class Receivers:
    """Receivers by pool; `ask` may be called again when there are more pools, in any thread.

    `work` runs an offer in a slot. `on_end` is called when a receiver has asked its last question.
    """

    def __init__(
        self,
        control: Control,
        slots: Slots,
        wait_s: float,
        work: Callable[[str, Offer, int], None],
        on_end: Callable[[], None],
    ) -> None:
        self._control = control
        self._slots = slots
        self._longest_s = wait_s
        self._work = work
        self._on_end = on_end
        self._pools: set[str] = set()
        self._asking = 0
        self._guard = threading.Lock()
        self._closing = threading.Event()

    @property
    def is_asking(self) -> bool:
        """Say whether a question is still unanswered, or may yet be asked."""
        with self._guard:
            return self._asking > 0

    def ask(self, pools: Iterable[str]) -> None:
        """Ask these pools too from now on."""
        with self._guard:
            if self._closing.is_set():
                return
            new = [pool for pool in dict.fromkeys(pools) if pool not in self._pools]
            self._pools.update(new)
            self._asking += len(new)
        for pool in new:
            _log.info("Asks a pool for work", extra={"pool": pool})
            name = f"receive-{pool}"
            threading.Thread(target=self._receive, args=(pool,), name=name, daemon=True).start()

    def close(self) -> None:
        """Ask nothing any more; the slots must be closed, too."""
        with self._guard:
            self._closing.set()

    def may_go_on(self, pool: str) -> bool:
        """Say whether a slot may go on with its job's next step, rather than ask anew.

        Not where more urgent work may wait for it.
        """
        with self._guard:
            others = [other for other in self._pools if priority_of(other) != priority_of(pool)]
        is_urgent = any(_rank(other) < _rank(pool) for other in others)
        return not (is_urgent and self._slots.is_short)

    def _receive(self, pool: str) -> None:
        pauses = delays()
        in_vain = False
        while numbers := self._slots.reserve(self._share(pool), _rank(pool), stands_back=in_vain):
            try:
                offers = list(self._control.offers(pool, self._wait_s(), len(numbers)))
                pauses = delays()
            except Exception as error:  # noqa: BLE001 - whatever it is, asking goes on
                offers = []
                _log.warning("No work to be had", extra={"pool": pool, "error": str(error)})
                self._closing.wait(next(pauses))
            if self._closing.is_set() and not self._control.offers_are_claims:
                offers = []
            in_vain = not offers
            for offer in offers:
                self._slots.start(numbers.pop(0), partial(self._work, pool, offer))
            self._slots.give_back(numbers)
        with self._guard:
            self._asking -= 1
        self._on_end()

    def _share(self, pool: str) -> int:
        """Return how many slots one question may hold, so that each pool gets its turn."""
        with self._guard:
            plain = sum(priority_of(one) is Priority.NORMAL for one in self._pools)
        if priority_of(pool) is not Priority.NORMAL:
            # It waits with a slot in hand, mostly in vain.
            return 1
        return min(MAX_OFFERS, -(-self._slots.count // plain))

    def _wait_s(self) -> float:
        with self._guard:
            is_alone = len(self._pools) == 1
        if is_alone or self._slots.free > 0:
            return self._longest_s
        # With the last slot in hand, another pool's receiver must not wait long for its turn.
        return 0.0 if self._slots.is_urged else min(SHARED_WAIT_S, self._longest_s)


def _rank(pool: str) -> int:
    return _RANKS[priority_of(pool)]
