"""What is there already of a log, for one who has some of it or nothing: lines, or where to fetch.

One rule: what is packed to be fetched is named by what is in it, so that all who ask for the same
lines share one object. Source: live logs, sections 2.3 and 2.4.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import Job
from chalicelib.domain.logs import LogChunk, LogPart
from chalicelib.domain.redactor import Redactor
from chalicelib.engine.engine import Engine
from chalicelib.engine.job_logs import KEPT, is_archived
from chalicelib.engine.live import messages
from chalicelib.engine.live.messages import Attempt, Fetched, Span

SMALL_BYTES = 64 * 1024
# Of more attempts than these the lines come as one object, not as a message each.
MOST_APART = 16
# Beside the name of a step. Only what dots stand for secrets in can be longer and no object yet.
_LONGEST_LINE_BYTES = 24 * 1024
# Source: security, S17. Who is slower asks again for what is left.
FETCH_FOR_S = 60
_PACK_BYTES = 1024 * 1024
# Of what is packed the spans must have room in one message, beside an address of a few KB.
_PACK_SPANS_BYTES = 20 * 1024
_NUMBERS_BYTES = 40
_PAGE = 100
# Who lacks no more of an attempt gets it with that of others, up to so many lines together. A line
# may be a chunk, and that has 8 KB: what is held at once is bounded.
_SHORT_LINES = 100
_TOGETHER_LINES = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Lines behind `after` and up to `last` of an attempt."""

    attempt: Attempt
    after: int
    last: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines of an attempt as they were kept; `key` names the object, if they stand in one."""

    span: Span
    lines: tuple[str, ...] = ()
    key: str | None = None
    size: int = 0
    longest: int = 0


def refuse_expired(engine: Engine, job: Job) -> None:
    """Raise NotFoundError for a job whose chunks may be gone: its archive has its log."""
    if is_archived(job) and engine.clock.now() >= job.created_at + KEPT:
        raise NotFoundError(
            f"the log of job {job.job_id} is archived: read GET /api/jobs/{job.job_id}/logs"
        )


def backfill(
    engine: Engine, job_id: str, wanted: Sequence[Wanted], redactor: Redactor
) -> Iterator[str]:
    """Yield the messages that bring these lines, in the order of `wanted`.

    What is long, or of more than `MOST_APART` attempts, is told as chunks, which may hold a little
    more at both ends.
    """
    pieces = _pieces(engine, job_id, wanted, redactor)
    held: list[_Piece] = []
    if len(wanted) <= MOST_APART:
        held, is_all = _small(pieces)
        if is_all:
            yield from _as_lines(held, wanted)
            return
    fetched = _fetched(engine, job_id, _chained(held, pieces))
    yield from messages.chunks_messages(job_id, fetched)


def _small(pieces: Iterator[_Piece]) -> tuple[list[_Piece], bool]:
    """Return the first pieces, and whether they are all and have room in messages."""
    held: list[_Piece] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += piece.size
        if piece.key is not None or size > SMALL_BYTES or piece.longest > _LONGEST_LINE_BYTES:
            return held, False
    return held, True


def _chained(held: Sequence[_Piece], rest: Iterator[_Piece]) -> Iterator[_Piece]:
    yield from held
    yield from rest


def _pieces(
    engine: Engine, job_id: str, wanted: Iterable[Wanted], redactor: Redactor
) -> Iterator[_Piece]:
    for group in _groups(wanted):
        found = _paged(engine, group[0]) if _is_long(group[0]) else _held(engine, job_id, group)
        for chunk in found:
            yield _piece(Attempt(job_id, chunk.step, chunk.attempt), chunk, redactor)


def _is_long(one: Wanted) -> bool:
    return one.last - one.after > _SHORT_LINES


def _groups(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Yield what is read together: neighbours that are short, and each that is long by itself."""
    group: list[Wanted] = []
    lines = 0
    for one in wanted:
        own = one.last - one.after
        if group and (_is_long(one) or _is_long(group[0]) or lines + own > _TOGETHER_LINES):
            yield group
            group, lines = [], 0
        group.append(one)
        lines += own
    if group:
        yield group


def _held(engine: Engine, job_id: str, group: Iterable[Wanted]) -> Sequence[LogChunk]:
    parts = [LogPart(w.attempt.step, w.attempt.number, w.after, w.last) for w in group]
    return engine.logs.chunks_of(job_id, parts)


def _paged(engine: Engine, one: Wanted) -> Iterator[LogChunk]:
    own, after = one.attempt, one.after
    while after < one.last:
        found = engine.logs.chunks_after(own.job_id, own.step, own.number, after, _PAGE)
        for chunk in found:
            if after < chunk.last and chunk.first <= one.last:
                yield chunk
                after = max(after, chunk.last)
        if len(found) < _PAGE:
            break


def _piece(attempt: Attempt, chunk: LogChunk, redactor: Redactor) -> _Piece:
    span = Span(attempt, chunk.first, chunk.last)
    if chunk.ref is not None:
        return _Piece(span, key=chunk.ref.key)
    # Not `splitlines`: a line may hold separators that only Unicode knows.
    lines = tuple(map(redactor.log_line, chunk.text.rstrip("\n").split("\n")))
    sizes = [len(line.encode()) + 1 for line in lines]
    return _Piece(span, lines, size=sum(sizes), longest=max(sizes))


def _as_lines(pieces: Sequence[_Piece], wanted: Sequence[Wanted]) -> Iterator[str]:
    for one in wanted:
        lines: dict[int, str] = {}
        for piece in pieces:
            if piece.span.attempt == one.attempt:
                lines.update(enumerate(piece.lines, piece.span.first))
        for first, run in _runs({n: lines[n] for n in lines if one.after < n <= one.last}):
            yield from messages.lines_messages(one.attempt, first, run).texts


def _runs(lines: dict[int, str]) -> Iterator[tuple[int, list[str]]]:
    """Yield lines with consecutive numbers together: a hole is shown as one."""
    first, run = 0, list[str]()
    for number in sorted(lines):
        if run and number != first + len(run):
            yield first, run
            run = []
        if not run:
            first = number
        run.append(lines[number])
    if run:
        yield first, run


def _fetched(engine: Engine, job_id: str, pieces: Iterator[_Piece]) -> Iterator[Fetched]:
    held: list[_Piece] = []
    size = spans = 0
    for piece in pieces:
        named = len(piece.span.attempt.step.encode()) + _NUMBERS_BYTES
        is_full = size + piece.size > _PACK_BYTES or spans + named > _PACK_SPANS_BYTES
        if held and (is_full or piece.key is not None):
            yield _packed(engine, job_id, held)
            held, size, spans = [], 0, 0
        if piece.key is not None:
            yield _signed(engine, piece.key, (piece.span,))
            continue
        held.append(piece)
        size += piece.size
        spans += named
    if held:
        yield _packed(engine, job_id, held)


def _packed(engine: Engine, job_id: str, pieces: Sequence[_Piece]) -> Fetched:
    spans = tuple(piece.span for piece in pieces)
    named = [[s.attempt.step, s.attempt.number, s.first, s.last] for s in spans]
    key = keys.backfill_blob(job_id, sha256(repr(named).encode()).hexdigest()[:32])
    if not engine.blobs.exists(key):
        text = "".join(f"{line}\n" for piece in pieces for line in piece.lines)
        engine.blobs.put(key, gzip.compress(text.encode(), compresslevel=3, mtime=0))
    return _signed(engine, key, _joined(spans))


def _signed(engine: Engine, key: str, spans: tuple[Span, ...]) -> Fetched:
    return Fetched(engine.blobs.download_url(key, FETCH_FOR_S), FETCH_FOR_S, spans)


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return the spans, those joined that follow each other in one attempt."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].attempt == span.attempt and found[-1].last + 1 == span.first:
            found[-1] = Span(span.attempt, found[-1].first, span.last)
        else:
            found.append(span)
    return tuple(found)
