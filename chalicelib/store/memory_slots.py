"""Slots in memory: for tests, the simulator and `stroem run`; one suite holds for both."""

from __future__ import annotations

from chalicelib.domain.job import Slot
from chalicelib.engine.ports import Line, Waiter
from chalicelib.store.lists import place_in_line


class MemorySlots:
    """Holders and waiters by key. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._holders: dict[str, set[str]] = {}
        self._waiters: dict[str, set[Waiter]] = {}

    def wait(self, key: str, waiter: Waiter) -> None:
        self._waiters.setdefault(key, set()).add(waiter)

    def take(self, slot: Slot, job_id: str) -> bool:
        holders = self._holders.setdefault(slot.key, set())
        if job_id not in holders and len(holders) < slot.limit:
            holders.add(job_id)
        return job_id in holders

    def leave_line(self, key: str, waiter: Waiter) -> None:
        self._waiters.get(key, set()).discard(waiter)

    def give_back(self, key: str, job_id: str) -> None:
        self._holders.get(key, set()).discard(job_id)

    def line(self, key: str, limit: int) -> Line:
        waiters = sorted(self._waiters.get(key, ()), key=place_in_line)
        return Line(frozenset(self._holders.get(key, ())), tuple(waiters[:limit]))
