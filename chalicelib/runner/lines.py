r"""Bytes of a stream into log lines, and log lines into the step's output.

The one rule: memory stays bounded whatever the step prints. A log line ends at \n, \r\n or \r (so
that progress bars show), or at 64 KB; an `OUTPUT:` line may be 1 MB long.
"""

from __future__ import annotations

import codecs
import io
import json
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from chalicelib.domain.values import JsonValue

MAX_LINE_BYTES = 64 * 1024
MAX_OUTPUT_BYTES = 1024 * 1024
OUTPUT_PREFIX = "OUTPUT:"
TAIL_LINES = 20
TAIL_BYTES = 700


class Piece(NamedTuple):
    """A log line; `ends` is False where a longer line was split and goes on in the next piece."""

    text: str
    ends: bool


class LineSplitter:
    """Turns one stream's bytes into pieces. Invalid UTF-8 is replaced, never refused."""

    def __init__(self) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._partial = ""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Yield the lines that `data` completes, and the full 64 KB of those it does not."""
        return self._split(self._decoder.decode(data))

    def finish(self) -> Iterator[Piece]:
        """Yield what is left when the stream has ended, a last line without line end included."""
        yield from self._split(self._decoder.decode(b"", final=True))
        if self._partial:
            yield Piece(self._partial, ends=True)
            self._partial = ""

    def _split(self, text: str) -> Iterator[Piece]:
        *lines, rest = (self._partial + text).split("\n")
        for line in lines:
            while (cut := _cut(line)) is not None:
                yield Piece(line[:cut], ends=False)
                line = line[cut:]  # noqa: PLW2901 (a long line is eaten from the front)
            yield Piece(line, ends=True)
        while (cut := _cut(rest)) is not None:
            yield Piece(rest[:cut], ends=False)
            rest = rest[cut:]
        self._partial = rest


def _cut(line: str) -> int | None:
    # A character has at most 4 bytes: most lines need no encoding to be known as short enough.
    if len(line) * 4 <= MAX_LINE_BYTES or utf8_size(line) <= MAX_LINE_BYTES:
        return None
    if line.isascii():
        return MAX_LINE_BYTES
    head = line[:MAX_LINE_BYTES].encode()[:MAX_LINE_BYTES]
    return len(head.decode(errors="ignore"))


def utf8_size(text: str) -> int:
    """Return the size in bytes, without encoding the usual case."""
    return len(text) if text.isascii() else len(text.encode())


class OutputScanner:
    """Finds the step's output in stdout: the last line `OUTPUT: <json>` with valid JSON.

    Lines that are no valid JSON are ignored; `oversized` counts those over 1 MB, ignored too.
    Source: workflow language; CLI, UI and operations, section 8.
    """

    def __init__(self) -> None:
        self.output: JsonValue = None
        self.has_output = False
        self.oversized = 0
        self._parts: list[str] = []
        self._size = 0
        self._at_line_start = True

    def add(self, piece: Piece) -> None:
        """Look at the next piece of stdout."""
        starts, self._at_line_start = self._at_line_start, piece.ends
        if not (piece.text.startswith(OUTPUT_PREFIX) if starts else self._parts):
            return
        self._size += utf8_size(piece.text)
        if self._size <= MAX_OUTPUT_BYTES:
            self._parts.append(piece.text)
        else:
            # One part must stay: it marks that the rest of this line is still an output line.
            self._parts = [OUTPUT_PREFIX]
        if piece.ends:
            self._take()

    def _take(self) -> None:
        line, too_long = "".join(self._parts), self._size > MAX_OUTPUT_BYTES
        self._parts, self._size = [], 0
        if too_long:
            self.oversized += 1
            return
        try:
            self.output = parse_json(line.removeprefix(OUTPUT_PREFIX))
        except (ValueError, RecursionError):
            return
        self.has_output = True


def parse_json(text: str) -> JsonValue:
    """Return the value of strict JSON that can be written again as UTF-8.

    Raises:
        ValueError: no JSON, or NaN, an infinite number or half of a surrogate pair.
        RecursionError: nested too deeply.
    """
    value: JsonValue = json.loads(text, parse_constant=_refuse)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


class Tail:
    """The end of a stream, for error messages: at most 20 lines and 700 bytes."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)

    def add(self, piece: Piece) -> None:
        """Remember the piece, and forget what is too old."""
        self._lines.append(piece.text[-TAIL_BYTES:])

    def text(self) -> str:
        """Return the tail; where it is cut inside a line, "…" stands in front."""
        whole = "\n".join(self._lines).strip()
        encoded = whole.encode()
        if len(encoded) <= TAIL_BYTES:
            return whole
        mark = "…"
        return mark + encoded[-(TAIL_BYTES - len(mark.encode())) :].decode(errors="ignore")
