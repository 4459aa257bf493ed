"""Slots: how many steps run at once on this worker.

The one rule: a slot is reserved before work is asked for, so nothing is claimed that could not
start at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Ticket:
    """A wish for a slot. `stands_back`: who has not asked in vain comes first."""

    rank: int
    number: int
    stands_back: bool

    @property
    def place(self) -> tuple[bool, int, int]:
        return (self.stands_back, 0 if self.stands_back else self.rank, self.number)


class Slots:
    """`count` slots, numbered from 0. `on_idle` is called, in any thread, when none is busy."""

    def __init__(self, count: int, on_idle: Callable[[], None] = lambda: None) -> None:
        self.count = count
        self._free = list(range(count))
        self._busy: set[int] = set()
        self._waiting: list[_Ticket] = []
        self._count = 0
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self.is_paused = False
        self._is_closed = False

    def reserve(self, limit: int, rank: int = 0, *, stands_back: bool = False) -> list[int]:
        """Wait for a free slot and return up to `limit` of them; [] once closed.

        The lowest rank comes first, and of one rank who waits longest. With `stands_back`, which
        is for those who just asked for work in vain, all others come first until work is found.
        """
        with self._changed:
            self._count += 1
            ticket = _Ticket(rank, self._count, stands_back)
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._may_go(ticket))
            self._waiting.remove(ticket)
            self._changed.notify_all()
            if self._is_closed:
                return []
            taken, self._free = self._free[:limit], self._free[limit:]
            return taken

    def _may_go(self, ticket: _Ticket) -> bool:
        if self._is_closed:
            return True
        is_first = ticket is min(self._waiting, key=lambda other: other.place)
        return is_first and bool(self._free) and not self.is_paused

    def give_back(self, numbers: Iterable[int]) -> None:
        """Free reserved slots that got no work."""
        with self._changed:
            self._free.extend(numbers)
            self._changed.notify_all()

    def start(self, number: int, work: Callable[[int], None]) -> None:
        """Run `work(number)` in a thread of its own; the reserved slot is free when it ends."""
        with self._changed:
            self._busy.add(number)
            for ticket in self._waiting:
                ticket.stands_back = False
        run = threading.Thread(
            target=self._run, args=(number, work), name=f"slot-{number}", daemon=True
        )
        run.start()

    def _run(self, number: int, work: Callable[[int], None]) -> None:
        try:
            work(number)
        except Exception:  # noqa: BLE001 - else the worker would shrink unnoticed
            _log.exception("A slot's work broke off")
        finally:
            with self._changed:
                self._busy.discard(number)
                self._free.append(number)
                is_idle = not self._busy
                self._changed.notify_all()
            if is_idle:
                self._on_idle()

    @property
    def is_idle(self) -> bool:
        """Say whether no slot is busy."""
        with self._changed:
            return not self._busy

    @property
    def is_short(self) -> bool:
        """Say whether somebody waits for a slot, and none is free."""
        with self._changed:
            return bool(self._waiting) and not self._free

    @property
    def is_urged(self) -> bool:
        """Say whether one of those who wait has not just asked for work in vain."""
        with self._changed:
            return any(not ticket.stands_back for ticket in self._waiting)

    @property
    def free(self) -> int:
        """Return how many slots are neither busy nor reserved."""
        with self._changed:
            return len(self._free)

    def pause(self) -> None:
        """Reserve nothing until `resume`."""
        with self._changed:
            self.is_paused = True

    def resume(self) -> None:
        """Reserve again."""
        with self._changed:
            self.is_paused = False
            self._changed.notify_all()

    def close(self) -> None:
        """Reserve nothing any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
