"""A standard queue at its worst: copies, any order, late and lost messages, timeouts."""

from __future__ import annotations

from chalicelib.engine.ports import Received

VISIBILITY_S = 30.0


class SimQueue:
    """One pool. Receivers park until a message becomes visible."""

    def __init__(self, scheduler, rng, on_delete, *, copies, late, lost):
        self._scheduler = scheduler
        self._random = rng.random
        self._on_delete = on_delete
        self.copies = copies
        self.late = late
        self.lost = lost
        self._visible = []
        self._in_flight = {}
        self._waiting = []
        self._count = 0
        self.sent = 0

    def send(self, pool, messages):
        for message, delay_s in messages:
            self.sent += 1
            if self.lost and self._random() < self.lost:
                continue
            self._put(message, delay_s)
            if self.copies and self._random() < self.copies:
                self._put(message, delay_s + 60 * self._random())

    def receive(self, pool, wait_s, limit):
        """Return one message; park as long as there is none."""
        while not self._visible:
            self._waiting.append(self._scheduler.current)
            self._scheduler.wait()
        index = int(self._random() * len(self._visible))
        entry = self._visible.pop(index)
        self._count += 1
        receipt = str(self._count)
        self._in_flight[receipt] = entry
        self._scheduler.at(self._scheduler.now + VISIBILITY_S, lambda: self._back(receipt))
        return [Received(entry, pool, receipt)]

    def delete(self, received):
        self._on_delete(received.message)
        self._in_flight.pop(received.receipt, None)

    def _put(self, message, delay_s):
        if self.late and self._random() < self.late:
            delay_s += 40 * self._random()
        if delay_s:
            self._scheduler.at(self._scheduler.now + delay_s, lambda: self._show(message))
        else:
            self._show(message)

    def _back(self, receipt):
        message = self._in_flight.pop(receipt, None)
        if message is not None:
            self._show(message)

    def _show(self, message):
        self._visible.append(message)
        waiting, self._waiting = self._waiting, []
        for actor in waiting:
            self._scheduler.wake(actor)
