"""What a step prints: to the sink as lines, and remembered as far as its result needs it.

The one rule: the step's output is found even in text that the log no longer keeps, and no secret
is in either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.needles import Needles, StreamRedactor
from chalicelib.domain.values import JsonValue
from chalicelib.engine.ports import Clock
from chalicelib.runner.events import Emit, EventScanner
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

    def __init__(
        self,
        sink: LogSink,
        clock: Clock,
        max_log_bytes: int,
        secrets: Iterable[str] = (),
        emit: Emit | None = None,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._max_log_bytes = max_log_bytes
        self._left = max_log_bytes
        self._splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        self.needles = Needles(secrets)
        self._redactors = {name: StreamRedactor(self.needles) for name in self._splitters}
        # The output is read as it was printed: dots in the place of a figure would be no JSON.
        self._plain = LineSplitter() if self.needles else None
        self.truncated = False
        self.scanner = OutputScanner()
        self.stderr_tail = Tail()
        self._events = EventScanner(emit, self.note) if emit else None

    def data(self, stream: StreamName, data: bytes) -> None:
        """Take bytes as they were read; their lines get one and the same time."""
        at = self._clock.now()
        if self._plain is not None:
            if stream == "stdout":
                self._scan(self._plain.feed(data))
            data = self._redactors[stream].feed(data)
        for piece in self._splitters[stream].feed(data):
            self._take(stream, piece, at)

    @property
    def output(self) -> JsonValue:
        """Return the step's output, without the secrets."""
        found = self.scanner.output
        return self.needles.value(found) if self.needles else found

    def finish(self) -> None:
        """Take what is left of both streams, and say in the log what was left out."""
        streams: tuple[StreamName, ...] = ("stdout", "stderr")
        if self._plain is not None:
            self._scan(self._plain.finish())
        at = self._clock.now()
        for stream in streams:
            rest = self._redactors[stream].finish()
            for piece in self._splitters[stream].feed(rest):
                self._take(stream, piece, at)
            for piece in self._splitters[stream].finish():
                self._take(stream, piece, at)
        if self.scanner.oversized:
            limit = MAX_OUTPUT_BYTES // _MIB
            self.note(f"… an OUTPUT line over {limit} MB is not taken; write it to a file instead")

    def note(self, text: str) -> None:
        """Write a line of the runner's own to the log."""
        self._sink.write("stderr", self.needles.text(text), self._clock.now())

    def _scan(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._look(piece)

    def _look(self, piece: Piece) -> None:
        self.scanner.add(piece)
        if self._events is not None:
            self._events.add(piece)

    def _take(self, stream: StreamName, piece: Piece, at: datetime) -> None:
        if stream == "stdout":
            if self._plain is None:
                self._look(piece)
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
