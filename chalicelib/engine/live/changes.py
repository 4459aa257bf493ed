"""What the streams of the tables tell: lines were added, a job changed, a connection was opened.

One rule: a change may be told late and more than once; of one job, and of one attempt, in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.job import Job
from chalicelib.domain.logs import LogChunk


@dataclass(frozen=True, slots=True)
class LinesAdded:
    """A chunk that was written while its job was watched."""

    chunk: LogChunk


@dataclass(frozen=True, slots=True)
class JobChanged:
    """META of a job was written; `before` is None for a new one."""

    before: Job | None
    after: Job


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """A connection of bare lines was opened, or its own item was written again."""

    connection_id: str


Change = LinesAdded | JobChanged | ConnectionOpened
