"""What the engine needs to keep lines: a place for chunks of them, in order, each written once.

One rule: each read is strongly consistent, chunk by chunk; what is written while a method reads
may be in its answer or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from chalicelib.domain.logs import LogChunk, LogPart


class LogStore(Protocol):
    """The table `logs`: chunks of lines."""

    def append(self, chunk: LogChunk, expires_at: datetime) -> None:
        """Write the chunk if absent: a repeat changes nothing."""

    def chunks(self, job_id: str, step: str | None = None) -> list[LogChunk]:
        """Return the chunks of a job or of one step, by step, attempt and first line."""

    def chunks_after(
        self, job_id: str, step: str, attempt: int, after: int, limit: int
    ) -> list[LogChunk]:
        """Return the first `limit` chunks of an attempt that hold lines behind line `after`."""

    def chunks_of(self, job_id: str, parts: Sequence[LogPart]) -> list[LogChunk]:
        """Return all chunks that hold lines of the parts: part by part as given, by first line.

        An attempt has one part at most. The whole answer is held at once: ask for few lines.
        """

    def head(self, job_id: str, step: str, attempt: int) -> int:
        """Return the number of the last line that stands of an attempt; 0 if none does."""

    def heads(self, job_id: str, attempts: Sequence[tuple[str, int]]) -> list[int]:
        """Return `head` of each step and attempt, in their order; many cost little more than one.

        That holds for attempts of few chunks whose steps have neighbouring names.
        """
