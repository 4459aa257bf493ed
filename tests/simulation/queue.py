"""Standard queues at their worst: copies, any order, late and lost messages, timeouts."""

from __future__ import annotations

from collections import defaultdict

from chalicelib.engine.moves import Received

VISIBILITY_S = 30.0


class SimQueue:
    """One queue a pool. Receivers park until a message becomes visible in one of theirs."""

    def __init__(self, scheduler, rng, checker, *, copies, late, lost):
        self._scheduler = scheduler
        self._random = rng.random
        self._checker = checker
        self.copies = copies
        self.late = late
        self.lost = lost
        self._visible = defaultdict(list)
        self._in_flight = {}
        self._waiting = []
        self._count = 0
        self.sent = 0

    def send(self, pool, messages, group=None):
        for message, delay_s in messages:
            self.sent += 1
            self._checker.sent(message, self._scheduler.current)
            if self.lost and self._random() < self.lost:
                continue
            self._put(pool, message, delay_s)
            if self.copies and self._random() < self.copies:
                self._put(pool, message, delay_s + 60 * self._random())

    def receive(self, pool, wait_s, limit):
        return self.receive_any((pool,))

    def receive_any(self, reach):
        """Return one message of the pools in `reach`; park as long as there is none."""
        while not (there := [pool for pool in self._visible if pool in reach]):
            self._waiting.append(self._scheduler.current)
            self._scheduler.wait()
        pool = there[int(self._random() * len(there))]
        visible = self._visible[pool]
        entry = visible.pop(int(self._random() * len(visible)))
        if not visible:
            del self._visible[pool]
        self._count += 1
        receipt = str(self._count)
        self._in_flight[receipt] = (pool, entry)
        self._scheduler.at(self._scheduler.now + VISIBILITY_S, lambda: self._back(receipt))
        return [Received(entry, pool, receipt)]

    def delete(self, received):
        self._checker.deleted(received.message)
        self._in_flight.pop(received.receipt, None)

    def is_empty(self):
        """Say whether no message is left, not even one in flight, but where nobody works."""
        pools = [*self._visible, *(pool for pool, _ in self._in_flight.values())]
        return all("nowhere" in pool for pool in pools)

    def _put(self, pool, message, delay_s):
        if self.late and self._random() < self.late:
            delay_s += 40 * self._random()
        if delay_s:
            at = self._scheduler.now + delay_s
            self._scheduler.at(at, lambda: self._show(pool, message))
        else:
            self._show(pool, message)

    def _back(self, receipt):
        pool, message = self._in_flight.pop(receipt, (None, None))
        if message is not None:
            self._show(pool, message)

    def _show(self, pool, message):
        self._visible[pool].append(message)
        waiting, self._waiting = self._waiting, []
        for actor in waiting:
            self._scheduler.wake(actor)
