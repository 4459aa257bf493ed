"""Slots: how many steps run at once on this worker.

The one rule: a slot is reserved before work is asked for, so nothing is claimed that could not
start at once.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable

_log = logging.getLogger(__name__)


class Slots:
    """`count` slots, numbered from 0. `on_idle` is called, in any thread, when none is busy."""

    def __init__(self, count: int, on_idle: Callable[[], None] = lambda: None) -> None:
        self._free = list(range(count))
        self._busy: set[int] = set()
        self._queue: deque[object] = deque()
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self.is_paused = False
        self._is_closed = False

    def reserve(self, limit: int) -> list[int]:
        """Wait for a free slot and return up to `limit` of them; [] once closed.

        Who waits longest comes first.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket and self._may_go())
            self._queue.popleft()
            self._changed.notify_all()
            if self._is_closed:
                return []
            taken, self._free = self._free[:limit], self._free[limit:]
            return taken

    def _may_go(self) -> bool:
        return self._is_closed or (bool(self._free) and not self.is_paused)

    def give_back(self, numbers: Iterable[int]) -> None:
        """Free reserved slots that got no work."""
        with self._changed:
            self._free.extend(numbers)
            self._changed.notify_all()

    def start(self, number: int, work: Callable[[int], None]) -> None:
        """Run `work(number)` in a thread of its own; the reserved slot is free when it ends."""
        with self._changed:
            self._busy.add(number)
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
