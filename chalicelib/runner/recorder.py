"""What a step prints: to the sink as lines, and remembered as far as its result needs it.

The one rule: the step's output is found even in text that the log no longer keeps.
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.engine.ports import Clock
from chalicelib.runner.lines import (
    MAX_OUTPUT_BYTES,
    LineSplitter,
    OutputScanner,
    Piece,
    Tail,
    utf8_size,
)
from chalicelib.runner.spec import LogSink, StreamName

_MIB = 1024 * 1024


class Recorder:
    """Takes both streams of one step. `truncated` says that the log went over `max_log_bytes`."""

    def __init__(self, sink: LogSink, clock: Clock, max_log_bytes: int) -> None:
        self._sink = sink
        self._clock = clock
        self._max_log_bytes = max_log_bytes
        self._left = max_log_bytes
        self._splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        self.truncated = False
        self.scanner = OutputScanner()
        self.stderr_tail = Tail()

    def data(self, stream: StreamName, data: bytes) -> None:
        """Take bytes as they were read; their lines get one and the same time."""
        at = self._clock.now()
        for piece in self._splitters[stream].feed(data):
            self._take(stream, piece, at)

    def finish(self) -> None:
        """Take what is left of both streams, and say in the log what was left out."""
        at = self._clock.now()
        streams: tuple[StreamName, ...] = ("stdout", "stderr")
        for stream in streams:
            for piece in self._splitters[stream].finish():
                self._take(stream, piece, at)
        if self.scanner.oversized:
            limit = MAX_OUTPUT_BYTES // _MIB
            self.note(f"… an OUTPUT line over {limit} MB is not taken; write it to a file instead")

    def note(self, text: str) -> None:
        """Write a line of the runner's own to the log."""
        self._sink.write("stderr", text, self._clock.now())

    def _take(self, stream: StreamName, piece: Piece, at: datetime) -> None:
        if stream == "stdout":
            self.scanner.add(piece)
        else:
            self.stderr_tail.add(piece)
        if self.truncated:
            return
        self._left -= utf8_size(piece.text) + 1
        if self._left >= 0:
            self._sink.write(stream, piece.text, at)
            return
        self.truncated = True
        limit = self._max_log_bytes // _MIB
        self._sink.write(stream, f"… output over {limit} MB is not kept", at)
