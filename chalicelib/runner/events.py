"""What a consumer emits: each line of its stdout that is a JSON object.

The one rule: while an event is not accepted nothing more is read, so the consumer waits, too.
Source: workflow language, section 1.10.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from chalicelib.domain.event_sources import MAX_EVENT_BYTES
from chalicelib.domain.values import JsonObject
from chalicelib.runner.lines import Piece, utf8_size

Emit = Callable[[JsonObject], None]


class EventScanner:
    """Finds events in stdout. `note` is told of lines that look like one and are too long."""

    def __init__(self, emit: Emit, note: Callable[[str], None]) -> None:
        self._emit = emit
        self._note = note
        self._parts: list[str] = []
        self._size = 0
        self._at_line_start = True

    def add(self, piece: Piece) -> None:
        """Look at the next piece of stdout."""
        starts, self._at_line_start = self._at_line_start, piece.ends
        if not (piece.text.lstrip().startswith("{") if starts else self._parts):
            return
        self._size += utf8_size(piece.text)
        # One part must stay: it marks that the rest belongs to the same line.
        self._parts = [*self._parts, piece.text] if self._size <= _MOST else ["{"]
        if piece.ends:
            self._take()

    def _take(self) -> None:
        line, size = "".join(self._parts), self._size
        self._parts, self._size = [], 0
        if size > _MOST:
            self._note(f"… an event over {MAX_EVENT_BYTES // 1024} KB is not emitted")
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(event, dict):
            self._emit(event)


# With the spaces that a line may have around what counts.
_MOST = MAX_EVENT_BYTES + 1024
