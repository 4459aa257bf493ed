"""Log lines that wait to be sent: in memory up to a bound, beyond it in a temporary file.

The one rule: lines come out as they went in, however many wait. Not for several threads at once.
Source: live logs, section 2.4.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from datetime import datetime
from typing import IO

from chalicelib.domain.logs import LogLine

# What a line costs besides its text: its time, names and braces sent, its objects in memory.
_LINE_OVERHEAD_BYTES = 200


class Backlog:
    """Lines of one step, first in, first out. `held_bytes` counts those in memory."""

    def __init__(self, step: str, memory_bytes: int) -> None:
        self._step = step
        self._memory_bytes = memory_bytes
        self._lines: deque[tuple[LogLine, int]] = deque()
        self._file: IO[bytes] | None = None
        self._read_at = 0
        self._spilled = 0
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._lines) + self._spilled

    def add(self, line: LogLine) -> None:
        """Put a line at the end.

        Raises:
            OSError: the temporary file takes no more; the line is not kept.
        """
        size = _size(line.line)
        if self._spilled or self.held_bytes + size > self._memory_bytes:
            self._spill(line)
        else:
            self._hold(line, size)

    def take(self, max_lines: int, max_bytes: int) -> list[LogLine]:
        """Return the lines at the front, one at least if there is any, and forget them."""
        if not self._lines and self._spilled:
            self._read_back()
        taken: list[LogLine] = []
        taken_bytes = 0
        while self._lines and len(taken) < max_lines:
            line, size = self._lines[0]
            if taken and taken_bytes + size > max_bytes:
                break
            self._lines.popleft()
            taken.append(line)
            taken_bytes += size
        self.held_bytes -= taken_bytes
        return taken

    def close(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._spilled = self.held_bytes = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _hold(self, line: LogLine, size: int) -> None:
        self._lines.append((line, size))
        self.held_bytes += size

    def _spill(self, line: LogLine) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="stroem-log-")  # noqa: SIM115 - see `close`
        record = json.dumps((line.ts.isoformat(), line.stream, line.line))
        self._file.write(record.encode() + b"\n")
        self._spilled += 1

    def _read_back(self) -> None:
        """Move lines from the file into memory, up to half of what memory may hold."""
        file = self._file
        if file is None:
            return
        file.seek(self._read_at)
        while self._spilled and self.held_bytes < self._memory_bytes // 2:
            ts, stream, text = json.loads(file.readline())
            line = LogLine(datetime.fromisoformat(ts), stream, self._step, text)
            self._hold(line, _size(text))
            self._spilled -= 1
        self._read_at = file.tell()
        if self._spilled:
            file.seek(0, os.SEEK_END)
        else:
            file.seek(0)
            file.truncate()
            self._read_at = 0


def _size(text: str) -> int:
    if text.isascii() and text.isprintable():
        return len(text) + _LINE_OVERHEAD_BYTES
    # As it will be sent: a control character takes six bytes.
    return len(json.dumps(text, ensure_ascii=False).encode()) + _LINE_OVERHEAD_BYTES
