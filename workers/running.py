"""The attempts that run on this worker now, and what an order means for them.

The one rule: whoever asks the engine about them keeps the list that it asked with, so that an
answer never reaches an attempt that began after the question.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from chalicelib.domain.values import StepRef
from chalicelib.engine.steps import Hold
from workers.attempts import Attempt
from workers.control import Orders

Question: TypeAlias = Callable[[Sequence[StepRef]], Orders]


class Running:
    """The list of attempts; any thread may use it."""

    def __init__(self) -> None:
        self._attempts: dict[Hold, Attempt] = {}
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._attempts)

    @contextmanager
    def listed(self, attempt: Attempt) -> Iterator[None]:
        """Keep the attempt on the list while the context lasts."""
        with self._guard:
            self._attempts[attempt.hold] = attempt
        try:
            yield
        finally:
            with self._guard:
                del self._attempts[attempt.hold]

    def stop(self) -> None:
        """Kill all, because the worker ends."""
        for attempt in self._all():
            attempt.stop()

    def ask(self, question: Question) -> Orders:
        """Ask what is to become of them, and obey; return what was answered."""
        attempts = self._all()
        orders = question(tuple(attempt.ref for attempt in attempts))
        cancelled, killed = frozenset(orders.cancelled), frozenset(orders.killed)
        for attempt in attempts:
            if attempt.ref in killed:
                attempt.kill()
            elif attempt.ref in cancelled:
                attempt.cancel()
            if orders.watched is not None:
                attempt.watch(is_watched=attempt.ref.job_id in orders.watched)
        return orders

    def _all(self) -> list[Attempt]:
        with self._guard:
            return list(self._attempts.values())
