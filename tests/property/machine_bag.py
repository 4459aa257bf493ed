"""A queue that gives what it holds in any order, as the machine's messages come."""

from datetime import timedelta


class Bag:
    """A queue of which any visible message may be taken, whatever came before it."""

    def __init__(self, clock):
        self._clock = clock
        self._count = 0
        self.entries = {}
        self.sent = []

    def send(self, pool, messages, group=None):
        for message, delay_s in messages:
            self.put(message, delay_s)
            self.sent.append(message)

    def put(self, message, delay_s=0):
        self._count += 1
        self.entries[self._count] = (message, self._clock.now() + timedelta(seconds=delay_s))

    def visible(self):
        return [n for n, (_, at) in self.entries.items() if at <= self._clock.now()]

    def delete(self, received):
        self.entries.pop(int(received.receipt), None)
