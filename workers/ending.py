"""How long this worker goes on trying: without limit, until it is told to come to an end.

The one rule: every wait between two tries goes through here, so a stop is never held up by one.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
# Of its own, so that these waits change nothing for others who draw repeatable numbers.
_CHANCE = random.Random()  # noqa: S311 - jitter is no secret


class Ending:
    """Set once. Until then waits take their time; afterwards there are `left_s` seconds left."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._deadline = math.inf

    def begin(self, within_s: float) -> None:
        """Let all that waits try at once, and again until `within_s` from now."""
        self._deadline = min(self._deadline, time.monotonic() + within_s)
        self._begun.set()

    @property
    def has_begun(self) -> bool:
        """Say whether the worker comes to its end."""
        return self._begun.is_set()

    def left_s(self) -> float:
        """Return the seconds left; infinite before the end has begun, 0 when all is over."""
        return max(0.0, self._deadline - time.monotonic())

    def pause(self, delay_s: float) -> bool:
        """Wait, and say whether there is time left for another try.

        The beginning of the end cuts a wait short.
        """
        if not self._begun.wait(delay_s):
            return True
        # From here on the event no longer waits, so the pace is kept by a plain sleep.
        left_s = self.left_s()
        time.sleep(min(FIRST_DELAY_S, left_s))
        return left_s > 0


def delays(longest_s: float = LONGEST_DELAY_S) -> Iterator[float]:
    """Yield the waits between tries: from 0.1 s, doubled, each with a jitter of ± 25 %."""
    delay_s = FIRST_DELAY_S
    while True:
        yield delay_s * _CHANCE.uniform(0.75, 1.25)
        delay_s = min(delay_s * 2, longest_s)
