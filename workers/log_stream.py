"""A step's log on its way to the engine: in order, gapless, and never in the step's way.

The one rule: writing a line touches no network. One thread of its own sends the lines, chunk by
chunk, each until it is accepted. What is to mask secrets stands between the runner and this sink,
so that nothing unmasked is ever kept here.
Source: live logs, section 2.4; invariant I6.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from chalicelib.domain.errors import (
    FencedError,
    RateLimitedError,
    StroemError,
    UnavailableError,
)
from chalicelib.domain.logs import LogLine
from chalicelib.engine.steps import Hold
from chalicelib.runner.spec import StreamName
from workers.backlog import Backlog
from workers.ending import Ending, delays

_log = logging.getLogger(__name__)


class Append(Protocol):
    """What takes a chunk; see `Control.append`."""

    def __call__(self, hold: Hold, first: int, lines: Sequence[LogLine], *, live: bool) -> None:
        """Keep the chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How lines are grouped: how long the first of a chunk waits for others, in seconds.

    `early_s` while the step is young; then `watched_s` if somebody watches the job, `unwatched_s`
    if not. A full chunk goes at once. After the step's end, `flush_s` without progress loses the
    rest.
    """

    early_s: float = 0.25
    watched_s: float = 1.0
    unwatched_s: float = 10.0
    young_s: float = 2.0
    flush_s: float = 120.0
    chunk_lines: int = 5_000
    chunk_bytes: int = 1024 * 1024
    memory_bytes: int = 8 * 1024 * 1024


class LogStream:
    """The sink of one attempt. `on_fenced` is called when the attempt turns out to be another's.

    A step that prints nothing starts no thread and sends nothing.
    """

    def __init__(
        self,
        hold: Hold,
        append: Append,
        ending: Ending,
        on_fenced: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        self._hold = hold
        self._append = append
        self._ending = ending
        self._on_fenced = on_fenced
        self._pace = pace or Pace()
        self._backlog = Backlog(hold.ref.step, self._pace.memory_bytes)
        self._changed = threading.Condition()
        self._sender: threading.Thread | None = None
        self._is_sending = False
        self._is_watched = False
        self._first = 1
        self._lost = 0
        self._last_at = datetime.fromtimestamp(0, UTC)
        self._is_over = False
        self._closed = False
        self._give_up_at = math.inf
        self._born = self._waiting_since = self._progress = time.monotonic()

    def write(self, stream: StreamName, line: str, at: datetime) -> None:
        """Take one line; lines written after the log was given up are dropped."""
        with self._changed:
            if self._is_over:
                return
            was_empty = not self._backlog
            try:
                self._backlog.add(LogLine(at, stream, self._hold.ref.step, line))
            except OSError:
                self._lost, self._last_at = self._lost + 1, at
                return
            if was_empty:
                self._waiting_since = time.monotonic()
                self._start_sender()
            if was_empty or self._is_full():
                self._changed.notify_all()

    def watch(self, *, is_watched: bool) -> None:
        """Take note whether somebody watches the job; if he just came, what waits goes at once."""
        with self._changed:
            if is_watched and not self._is_watched:
                self._waiting_since = -math.inf
                self._changed.notify_all()
            self._is_watched = is_watched

    def give_up_at(self, instant: float) -> None:
        """Let `close` return by then (monotonic), whatever is not sent. The first call counts."""
        with self._changed:
            self._give_up_at = min(self._give_up_at, instant)
            self._changed.notify_all()

    def close(self) -> bool:
        """Send what is left; return whether every line was accepted. No line may follow."""
        with self._changed:
            self._closed = True
            self._progress = time.monotonic()
            self._changed.notify_all()
            while self._is_sending and (left_s := self._give_up_at - time.monotonic()) > 0:
                self._changed.wait(None if left_s == math.inf else left_s)
            is_whole = not (self._is_sending or self._backlog or self._is_over or self._lost)
            self._is_over = True
            self._lost = 0
            self._backlog.close()
        return is_whole

    def _start_sender(self) -> None:
        if self._sender is None:
            name = f"log-{self._hold.ref.step}"
            self._sender = threading.Thread(target=self._send_all, name=name, daemon=True)
            self._is_sending = True
            self._sender.start()

    def _is_full(self) -> bool:
        pace, backlog = self._pace, self._backlog
        return len(backlog) >= pace.chunk_lines or backlog.held_bytes >= pace.chunk_bytes

    def _send_all(self) -> None:
        accepted = False
        try:
            while lines := self._next_chunk():
                accepted = False
                accepted = self._deliver(lines)
                if not accepted:
                    return
        finally:
            with self._changed:
                if not accepted:
                    self._is_over = True
                    self._backlog.close()
                self._is_sending = False
                self._changed.notify_all()

    def _next_chunk(self) -> list[LogLine]:
        """Wait until a chunk is due and return it; [] when the stream is closed and sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._backlog or self._closed)
            while not (self._closed or self._is_full()) and (left_s := self._left_s()) > 0:
                self._changed.wait(left_s)
            lines = self._backlog.take(self._pace.chunk_lines, self._pace.chunk_bytes)
            if self._lost and not self._backlog and self._closed:
                lines.append(self._confession())
            return lines

    def _confession(self) -> LogLine:
        text = f"… {self._lost} lines were lost: the worker's temporary folder is full"
        self._lost = 0
        return LogLine(self._last_at, "stderr", self._hold.ref.step, text)

    def _left_s(self) -> float:
        pace = self._pace
        interval_s = pace.watched_s if self._is_watched else pace.unwatched_s
        if self._waiting_since - self._born < pace.young_s:
            interval_s = pace.early_s
        return self._waiting_since + interval_s - time.monotonic()

    def _deliver(self, lines: Sequence[LogLine]) -> bool:
        """Send one chunk until it is accepted; say whether it was."""
        for delay_s in delays():
            try:
                self._append(self._hold, self._first, lines, live=self._is_watched)
            except FencedError:
                self._on_fenced()
                return False
            except (UnavailableError, RateLimitedError) as error:
                self._warn("Log lines wait: the engine does not answer", error)
            except StroemError as error:
                self._warn("Log lines are refused, so the rest of this log is lost", error)
                return False
            else:
                self._first += len(lines)
                self._progress = time.monotonic()
                return True
            if not self._may_go_on(delay_s):
                return False
        return False

    def _may_go_on(self, delay_s: float) -> bool:
        idle_s = time.monotonic() - self._progress
        is_too_long = self._closed and idle_s > self._pace.flush_s
        if self._is_over or is_too_long or time.monotonic() >= self._give_up_at:
            return False
        return self._ending.pause(delay_s)

    def _warn(self, text: str, error: StroemError) -> None:
        ref = self._hold.ref
        extra = {"job_id": ref.job_id, "step": ref.step, "error": error.message}
        _log.warning(text, extra=extra)
