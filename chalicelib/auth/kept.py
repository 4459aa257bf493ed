"""Documents of providers, kept for ten minutes, and longer when no newer one is to be had.

One rule: a failed look keeps what was good, and is not repeated before a minute is over.
Source: security, S4.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from chalicelib.domain.errors import UnavailableError
from chalicelib.engine.ports import Clock

KEPT_FOR = timedelta(minutes=10)
AGAIN_AFTER = timedelta(minutes=1)

T = TypeVar("T")


class Kept(Generic[T]):
    """One document. Safe for any number of threads, of which one looks at a time."""

    def __init__(self, read: Callable[[], T], clock: Clock) -> None:
        """`read` raises UnavailableError when there is no good document."""
        self._read = read
        self._clock = clock
        self._good: T | None = None
        self._until: datetime | None = None
        self._guard = threading.Lock()

    def get(self) -> T:
        """Return the document; of one that cannot be had now, the last good one.

        Raises:
            UnavailableError: there never was a good one.
        """
        with self._guard:
            now = self._clock.now()
            if self._good is not None and self._until is not None and now < self._until:
                return self._good
            return self._look(now)

    def look_again(self) -> T:
        """Return the document as it is now, or the last good one. Raises as `get`."""
        with self._guard:
            return self._look(self._clock.now())

    def _look(self, now: datetime) -> T:
        try:
            self._good = self._read()
            self._until = now + KEPT_FOR
        except UnavailableError:
            if self._good is None:
                raise
            self._until = max(self._until or now, now + AGAIN_AFTER)
        return self._good
