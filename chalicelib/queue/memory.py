"""Queues in memory, with delays and visibility by the clock, as SQS has them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.engine.ports import Clock, Message, Received

VISIBILITY = timedelta(seconds=30)
_SLICE_S = 0.05


@dataclass(slots=True)
class _Entry:
    message: Message
    visible_at: datetime
    receipt: str


class MemoryQueue:
    """Queues by pool. `receive` waits in real time, and wakes up when a message comes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pools: dict[str, list[_Entry]] = defaultdict(list)
        self._changed = threading.Condition()
        self._count = 0

    def send(
        self,
        pool: str,
        messages: Sequence[tuple[Message, int]],
        group: str | None = None,  # noqa: ARG002 - all messages are alike here
    ) -> None:
        now = self._clock.now()
        with self._changed:
            for message, delay_s in messages:
                visible_at = now + timedelta(seconds=delay_s)
                self._pools[pool].append(_Entry(message, visible_at, ""))
            self._changed.notify_all()

    def receive(self, pool: str, wait_s: float, limit: int) -> list[Received]:
        waited_s = 0.0
        with self._changed:
            while True:
                found = self._visible(pool, limit)
                if found or waited_s >= wait_s:
                    return found
                # In slices, since a delayed message becomes visible without a notice.
                self._changed.wait(_SLICE_S)
                waited_s += _SLICE_S

    def delete(self, received: Received) -> None:
        with self._changed:
            entries = self._pools[received.pool]
            entries[:] = [entry for entry in entries if entry.receipt != received.receipt]

    def _visible(self, pool: str, limit: int) -> list[Received]:
        now = self._clock.now()
        found = [entry for entry in self._pools[pool] if entry.visible_at <= now][:limit]
        for entry in found:
            self._count += 1
            entry.receipt = str(self._count)
            entry.visible_at = now + VISIBILITY
        return [Received(entry.message, pool, entry.receipt) for entry in found]
