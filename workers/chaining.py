"""A queue that lets the worker that ended a step go on with the next one itself.

The one rule: a message is kept back only from the thread that completes a step and is about to
claim; what it cannot claim goes the usual way. Lost ones are sent again by the sweep.
Source: protocol, "Chain claim".
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from chalicelib.engine.ports import Message, Queue, Received


class Kept:
    """At most one message that was not sent, and the pool that it was for."""

    def __init__(self, pools: Collection[str]) -> None:
        self._pools = pools
        self.message: Message | None = None
        self.pool = ""

    def offer(self, pool: str, messages: Sequence[tuple[Message, int]]) -> int | None:
        """Keep one of the messages if any will do; return which."""
        if self.message is not None or pool not in self._pools:
            return None
        for number, (message, delay_s) in enumerate(messages):
            if delay_s == 0:
                self.message, self.pool = message, pool
                return number
        return None


class ChainingQueue:
    """The given queue, for everybody but the threads inside `keeping`."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._here = threading.local()

    @contextmanager
    def keeping(self, pools: Collection[str]) -> Iterator[Kept]:
        """Keep back the first message that this thread sends at once to one of the pools."""
        kept = self._here.kept = Kept(pools)
        try:
            yield kept
        finally:
            del self._here.kept

    def send(self, pool: str, messages: Sequence[tuple[Message, int]]) -> None:
        kept: Kept | None = getattr(self._here, "kept", None)
        number = kept.offer(pool, messages) if kept else None
        rest = [one for index, one in enumerate(messages) if index != number]
        if rest:
            self._queue.send(pool, rest)

    def receive(self, pool: str, wait_s: float, limit: int) -> list[Received]:
        return self._queue.receive(pool, wait_s, limit)

    def delete(self, received: Received) -> None:
        self._queue.delete(received)
