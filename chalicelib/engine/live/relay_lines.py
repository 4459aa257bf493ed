"""The lines that a connection of bare lines has not had yet, in order of time.

One rule: lines of an attempt come in their order and without a hole; of what the job itself tells,
each line comes once, even if its record stood a little late.
Source: live logs, section 2.3; HTTP API, section 4.4.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby, islice

from chalicelib.domain.job import JobState
from chalicelib.domain.logs import SERVER_STEP, LogChunk, narrate, stamp
from chalicelib.engine.engine import Engine
from chalicelib.engine.job_logs import STAMP, is_archived, lines_of, read_log
from chalicelib.engine.live.attempts import begun

# Instead of an attempt: how many lines of the archive were sent.
ARCHIVE = ("", 0)
_PAGE = 100
_LATE = timedelta(seconds=10)
_BEFORE_TIME = len('{"ts":"')

Mark = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line, and what it is noted by: the number of its attempt, or that it was sent at all."""

    text: str
    mark: Mark
    number: int

    @property
    def is_server(self) -> bool:
        """Say whether the job itself tells it."""
        return self.mark[0] == SERVER_STEP


def lines_behind(
    engine: Engine, job_id: str, sent: Mapping[Mark, int], server_after: str
) -> Iterator[Numbered]:
    """Yield all lines of a job that were not sent."""
    is_first = not (sent or server_after)
    job = engine.jobs.get(job_id)
    if ARCHIVE in sent or (is_first and is_archived(job)):
        had = sent.get(ARCHIVE, 0)
        lines = islice(read_log(engine, job_id), had, None)
        return (Numbered(text, ARCHIVE, n) for n, text in enumerate(lines, had + 1))
    state = engine.jobs.load(job_id)
    found, is_cut = begun(engine, state)
    # Read after the records: an attempt that has ended has all its lines.
    if is_first or (is_cut and job.status.is_terminal):
        own = _of_all(engine, state, sent)
    else:
        own = [
            _of_attempt(engine, job_id, (a.step, a.number), sent, is_over=one.has_ended)
            for one in found
            for a in (one.attempt,)
        ]
    return _merged([_of_server(engine, state, sent, server_after), *own])


def lines_of_attempts(
    engine: Engine, job_id: str, sent: Mapping[Mark, int], touched: Collection[Mark]
) -> Iterator[Numbered]:
    """Yield the lines of these attempts that were not sent."""
    return _merged(_of_attempt(engine, job_id, mark, sent, is_over=False) for mark in touched)


def noted(
    sent: Mapping[Mark, int], server_after: str, lines: Iterable[Numbered]
) -> tuple[dict[Mark, int], str]:
    """Return what is sent, and up to when, after these lines.

    Lines that the job tells are noted one by one as long as an older one may still come.
    """
    changed = dict(sent)
    newest = ""
    for line in lines:
        changed[line.mark] = line.number
        newest = max(newest, _time(line.text)) if line.is_server else newest
    if newest:
        floor = stamp(datetime.fromisoformat(newest) - _LATE)
        server_after = max(server_after, floor)
    # The number of such a line is its time.
    least = _micros(server_after) if server_after else 0
    kept = {m: n for m, n in changed.items() if m[0] != SERVER_STEP or n > least}
    return kept, server_after


def _of_server(
    engine: Engine, state: JobState, sent: Mapping[Mark, int], server_after: str
) -> Iterator[Numbered]:
    for line in narrate(engine.plan_of(state.job).flow, state):
        text = line.to_json()
        mark = (SERVER_STEP, int(sha256(text.encode()).hexdigest()[:12], 16))
        if _time(text) > server_after and mark not in sent:
            yield Numbered(text, mark, _micros(_time(text)))


def _of_all(engine: Engine, state: JobState, sent: Mapping[Mark, int]) -> list[Iterator[Numbered]]:
    chunks = engine.logs.chunks(state.job.job_id)
    is_over = state.job.status.is_terminal
    return [
        _behind(engine, mark, list(own), sent, is_over=is_over)
        for mark, own in groupby(chunks, key=lambda chunk: (chunk.step, chunk.attempt))
    ]


def _of_attempt(
    engine: Engine, job_id: str, mark: Mark, sent: Mapping[Mark, int], *, is_over: bool
) -> Iterator[Numbered]:
    return _behind(engine, mark, _paged(engine, job_id, mark, sent), sent, is_over=is_over)


def _paged(
    engine: Engine, job_id: str, mark: Mark, sent: Mapping[Mark, int]
) -> Iterator[LogChunk]:
    after = sent.get(mark, 0)
    while True:
        found = engine.logs.chunks_after(job_id, *mark, after, _PAGE)
        yield from found
        if len(found) < _PAGE:
            return
        after = found[-1].last


def _behind(
    engine: Engine,
    mark: Mark,
    chunks: Iterable[LogChunk],
    sent: Mapping[Mark, int],
    *,
    is_over: bool,
) -> Iterator[Numbered]:
    had = sent.get(mark, 0)
    for chunk in chunks:
        if chunk.first > had + 1 and not is_over:
            # What is missing is on its way; what lies behind it is sent with it.
            return
        if chunk.last <= had:
            continue
        for number, text in enumerate(lines_of(engine.blobs, [chunk]), chunk.first):
            if number > had:
                yield Numbered(text, mark, number)
        had = chunk.last


def _merged(sources: Iterable[Iterable[Numbered]]) -> Iterator[Numbered]:
    return heapq.merge(*sources, key=lambda line: line.text[STAMP])


def _time(text: str) -> str:
    return text[STAMP][_BEFORE_TIME:-1]


def _micros(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1_000_000)
