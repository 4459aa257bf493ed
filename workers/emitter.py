"""Sends what a consumer prints as events, one after the other.

The one rule: an event is tried until it is accepted, or refused for good, or its consumer is to
end; what was not accepted says so in the consumer's log.
Source: workflow language, section 1.10.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.errors import RateLimitedError, StroemError, UnavailableError
from chalicelib.domain.event_sources import EventSource
from chalicelib.domain.values import JsonObject
from chalicelib.engine.steps import Hold
from chalicelib.runner.spec import Cancel
from workers.control import Control

_LOOK_S = 0.25
_LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when an event may wait: the consumer's order to stop, its deadline (monotonic)."""

    cancel: Cancel
    deadline: float | None = None

    @property
    def is_over(self) -> bool:
        """Say whether nothing is waited for any more."""
        is_late = self.deadline is not None and time.monotonic() >= self.deadline
        return is_late or self.cancel.is_set()

    def pause(self, pause_s: float) -> bool:
        """Wait so long; return False as soon as the patience is over."""
        until = time.monotonic() + pause_s
        while not self.is_over and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK_S, left_s))
        return not self.is_over


class Emitter:
    """The events of one attempt. Called by the thread that reads what the step prints."""

    def __init__(
        self,
        control: Control,
        hold: Hold,
        source: EventSource,
        patience: Patience,
        note: Callable[[str], None],
    ) -> None:
        self._control = control
        self._hold = hold
        self._source = source
        self._patience = patience
        self._note = note
        self._number = 0

    def emit(self, event: JsonObject) -> None:
        """Have the event accepted; block as long as that takes."""
        self._number += 1
        waits = 0
        while True:
            try:
                self._control.emit(self._hold, self._source, self._number, event)
            except RateLimitedError as error:
                pause_s: float = error.retry_after_s
                failure: StroemError = error
            except UnavailableError as error:
                pause_s, failure = min(0.25 * 2**waits, _LONGEST_S), error
            except StroemError as error:
                self._note(f"… event {self._number} was refused: {error.message}")
                return
            else:
                return
            waits += 1
            if not self._patience.pause(pause_s):
                self._note(f"… event {self._number} was not emitted: {failure.message}")
                return
