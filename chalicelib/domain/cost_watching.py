"""What it costs to watch jobs, and what a million lines cost: written, seen, fetched, polled.

The one rule: what one act uses is a figure that the tests count; how often it happens follows from
the assumptions here, each with its unit.
Source: live logs, sections 2.2 to 2.4; the page `cost` of the reference, "Watching".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

from chalicelib.domain.cost_sizes import (
    CHUNK_ITEM_BYTES,
    READ_BYTES,
    REF_BYTES,
    WRITE_BYTES,
    units,
)
from chalicelib.domain.cost_steps import REQUEST
from chalicelib.domain.live import PING_EVERY_S
from chalicelib.domain.prices import Meter, Use, gets, puts, reads, writes

MILLION = 1_000_000
HOUR_S = 3_600
# Of functions that answer a viewer's message and tell of changes: 512 MB, 50 ms.
GB_S_PER_INVOCATION = 0.5 * 0.05
# Of a request for lines that stand deep in an archive, which is unpacked up to them: 1 GB, 2 s.
GB_S_PER_PART = 2.0

# A printed line, and what it has in JSON, its newline included; in an answer it is escaped.
LINE_BYTES = 100
KEPT_LINE_BYTES = LINE_BYTES + 80
ANSWERED_LINE_BYTES = KEPT_LINE_BYTES + 17
# What packing leaves of lines: a quarter at most.
PACKED = 0.25
# The workers' own figures: what a chunk holds at most, and for how long its first line waits.
CHUNK_LINES = 5_000
CHUNK_BYTES = 1024 * 1024
HELD_LINE_BYTES = LINE_BYTES + 200
WATCHED_FLUSH_S = 1
UNWATCHED_FLUSH_S = 10
# A longer chunk is an object, whose name its item has. So many items are read at a time.
INLINE_BYTES = 8 * 1024
CHUNKS_A_QUERY = 100
# Of an object, signed with a role's session; and how many have room in a message.
ADDRESS_BYTES = 1_600
ADDRESSES_A_MESSAGE = 16
ANSWER_BYTES = 3 * 1024 * 1024
POLL_S = 2
# A client pings so often while lines come; the mark of a watched job is renewed once a minute.
IDLE_PING_S = 45
RENEWAL_S = 60

_LARGE_BYTES = CHUNK_ITEM_BYTES + REF_BYTES
_INVOCATION = Use({Meter.INVOCATIONS: 1, Meter.COMPUTE: GB_S_PER_INVOCATION})


def _messages(count: float) -> Use:
    return Use({Meter.MESSAGES: count})


# A ticket is asked for, kept, read and taken; the connection is written with its user's list.
OPENING = REQUEST + _INVOCATION + writes(6) + reads(3)
# The subscription and the mark of the job are written. Whose mark is new is told of the job.
SUBSCRIBING = _INVOCATION * 2 + _messages(5) + writes(5) + reads(13)
# The connection, its user, roles, the access list; the job, its records and its head.
PING = _INVOCATION + _messages(2) + reads(7)
# The mark is written, of which the stream tells the function that has nothing to tell.
RENEWAL = _INVOCATION + writes(1)
# Four items go in one transaction; the job loses its mark.
LEAVING = _INVOCATION * 2 + writes(9) + reads(3)
# The job is created, started and ended, and its log archived; three of these a list would show.
UNWATCHED_JOB = _INVOCATION * 4 + reads(3)
# The job, and its log twice: new lines, and that there are no others.
POLL = REQUEST * 3 + reads(14)
PART = REQUEST + reads(6) + gets(1)


def lines_told(viewers: int, *, is_large: bool = False) -> Use:
    """Return what it uses to tell viewers of a chunk: each is somebody else.

    A large one is fetched by each. Of more than a dozen viewers the list is another read.
    """
    use = _INVOCATION + reads(3) + (reads(1) + _messages(1)) * viewers
    return use + gets(viewers) if is_large else use


def change_told(viewers: int) -> Use:
    """Return what it uses to tell viewers that a job, or a step of it, has changed."""
    return _INVOCATION + writes(1) + reads(4) + (reads(1) + _messages(1)) * viewers


def log_fetched(chunks: int) -> Use:
    """Return what a subscription to an ended job uses whose log is so many large chunks."""
    pages = [min(CHUNKS_A_QUERY, chunks - at) for at in range(0, chunks, CHUNKS_A_QUERY)]
    read = sum(1 + units(page * _LARGE_BYTES, READ_BYTES) for page in pages)
    told = 4 + ceil(chunks / ADDRESSES_A_MESSAGE)
    return _INVOCATION + _messages(told) + writes(4) + reads(8 + read) + gets(chunks)


@dataclass(frozen=True, slots=True)
class Log:
    """A million lines that a step prints at this rate, in lines a second."""

    lines_per_s: int

    def chunk_lines(self, flush_s: int) -> int:
        """Return how many lines a chunk has when its first waits for so many seconds."""
        return min(self.lines_per_s * flush_s, CHUNK_LINES, CHUNK_BYTES // HELD_LINE_BYTES)

    def chunks(self, flush_s: int) -> int:
        """Return how many chunks the log is."""
        return ceil(MILLION / self.chunk_lines(flush_s))

    def is_large(self, flush_s: int) -> bool:
        """Say whether its chunks are objects."""
        return self.chunk_lines(flush_s) * KEPT_LINE_BYTES > INLINE_BYTES

    def written(self, flush_s: int) -> Use:
        """Return what a worker that reaches the tables uses to keep the lines."""
        count = self.chunks(flush_s)
        if self.is_large(flush_s):
            return (writes(1) + puts(1)) * count
        packed = ceil(self.chunk_lines(flush_s) * KEPT_LINE_BYTES * PACKED)
        return writes(count * units(CHUNK_ITEM_BYTES + packed, WRITE_BYTES))

    def seen(self, viewers: int) -> Use:
        """Return what it uses to show the lines live, beside that they are written."""
        told = lines_told(viewers, is_large=self.is_large(WATCHED_FLUSH_S))
        return told * self.chunks(WATCHED_FLUSH_S)

    def fetched(self) -> Use:
        """Return what it uses to fetch the lines by a connection after the job's end."""
        return log_fetched(self.chunks(UNWATCHED_FLUSH_S))

    def read(self) -> Use:
        """Return what it uses to read the lines over the REST API from the job's archive."""
        parts = ceil(MILLION * ANSWERED_LINE_BYTES / ANSWER_BYTES)
        unpacking = Use({Meter.COMPUTE: GB_S_PER_PART})
        return (PART + unpacking) * parts

    def polled(self) -> Use:
        """Return what it uses to ask for new lines over the REST API while they are printed."""
        use = POLL * (MILLION / self.lines_per_s / POLL_S)
        return use + gets(self.chunks(WATCHED_FLUSH_S) * self.is_large(WATCHED_FLUSH_S))


def _connected(ping_s: float) -> Use:
    """Return an hour of a connection: opened, quiet but for its pings, and left."""
    minutes = Use({Meter.CONNECTED: HOUR_S / 60})
    pings = PING * (HOUR_S / ping_s) + RENEWAL * (HOUR_S / RENEWAL_S)
    return OPENING + SUBSCRIBING + minutes + pings + LEAVING


def _further(use: Use, one: Use) -> Use:
    """Return what is more in `use` than in `one`."""
    return Use({meter: units for meter, units in (use + one * -1).units.items() if units})


_BRISK, _SLOW = Log(1_000), Log(10)


def _of_log(log: Log) -> Mapping[str, Use]:
    return {
        "written, while nobody watches": log.written(UNWATCHED_FLUSH_S),
        "written, while somebody watches": log.written(WATCHED_FLUSH_S),
        "seen live by one viewer": log.seen(1),
        "seen live by each further viewer": _further(log.seen(2), log.seen(1)),
        "fetched afterwards by a connection": log.fetched(),
        "read afterwards over the REST API": log.read(),
        f"polled each {POLL_S} s by one client": log.polled(),
    }


HOURS: Mapping[str, Use] = MappingProxyType(
    {
        "a viewer of a quiet job": _connected(PING_EVERY_S),
        "the first viewer of a job that prints each second": _connected(IDLE_PING_S)
        + lines_told(1) * HOUR_S,
        "each further viewer of it": _connected(IDLE_PING_S)
        + _further(lines_told(2), lines_told(1)) * HOUR_S,
        "the job's own lines, however many watch": writes(
            HOUR_S / WATCHED_FLUSH_S - HOUR_S / UNWATCHED_FLUSH_S
        ),
    }
)
LINES: Mapping[int, Mapping[str, Use]] = MappingProxyType(
    {log.lines_per_s: _of_log(log) for log in (_BRISK, _SLOW)}
)
