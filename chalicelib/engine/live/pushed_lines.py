"""New lines of a job, told to those who watch it, or the attempt that they are of.

One rule: lines cost no read of the job: what of it matters here never changes. When nobody is
there any more, the worker hears of it and slows down.
Source: live logs, sections 2.2 and 2.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.live import WATCHED_FOR, Mode, Topic
from chalicelib.domain.logs import LogChunk
from chalicelib.domain.redactor import Redactor
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import messages
from chalicelib.engine.live.audience import Viewer, kept_job
from chalicelib.engine.live.backfill import FETCH_FOR_S
from chalicelib.engine.live.batch import Batch
from chalicelib.engine.live.messages import Attempt, Fetched, Span
from chalicelib.engine.live.relay import relay
from chalicelib.engine.live.sending import deliver


def tell_lines(batch: Batch, job_id: str, chunks: Sequence[LogChunk]) -> None:
    """Tell of chunks of one job, those of each attempt in their order."""
    engine = batch.engine
    watchers = engine.connections.watchers(Topic(job_id=job_id).channel)
    if not watchers:
        _let_go(engine, job_id)
        return
    kept = kept_job(engine, job_id)
    viewers = batch.audience.of_job(kept.job, watchers)
    by_attempt: dict[Attempt, list[LogChunk]] = {}
    for chunk in chunks:
        by_attempt.setdefault(Attempt(job_id, chunk.step, chunk.attempt), []).append(chunk)
    texts: dict[Attempt, list[str]] = {}
    if any(viewer.mode is Mode.MESSAGES for viewer in viewers):
        for attempt, own in by_attempt.items():
            texts[attempt] = list(_texts(engine, attempt, own, kept.redactor))
    deliver(engine, [(one, _own(one, texts)) for one in viewers], batch.figures)
    touched = [(attempt.step, attempt.number) for attempt in by_attempt]
    for viewer in viewers:
        if viewer.mode is Mode.LINES:
            relay(batch, viewer.connection_id, job_id, touched)


def _own(viewer: Viewer, texts: dict[Attempt, list[str]]) -> list[str]:
    """Return what the viewer watches of these texts; what it watches twice comes once."""
    if viewer.mode is Mode.LINES:
        return []
    return [
        text
        for attempt, own in texts.items()
        if viewer.topics & {Topic(job_id=attempt.job_id), _topic(attempt)}
        for text in own
    ]


def _topic(attempt: Attempt) -> Topic:
    return Topic(job_id=attempt.job_id, step=attempt.step, attempt=attempt.number)


def _texts(
    engine: Engine, attempt: Attempt, chunks: Iterable[LogChunk], redactor: Redactor
) -> Iterator[str]:
    first, held = 0, list[str]()
    for chunk in chunks:
        if held and (chunk.ref is not None or chunk.first != first + len(held)):
            yield from messages.lines_messages(attempt, first, held).texts
            held = []
        if chunk.ref is not None:
            url = engine.blobs.download_url(chunk.ref.key, FETCH_FOR_S)
            spans = (Span(attempt, chunk.first, chunk.last),)
            fetched = Fetched(url, FETCH_FOR_S, spans)
            yield from messages.chunks_messages(attempt.job_id, [fetched])
            continue
        if not held:
            first = chunk.first
        # Not `splitlines`: a line may hold separators that only Unicode knows.
        held.extend(map(redactor.log_line, chunk.text.rstrip("\n").split("\n")))
    if held:
        yield from messages.lines_messages(attempt, first, held).texts


def _let_go(engine: Engine, job_id: str) -> None:
    """Let a job be unwatched that nobody watches over a connection."""
    with suppress(NotFoundError):
        # Read before the watchers: who comes in between has noted a later time.
        until = engine.jobs.get(job_id).watched_until
        if until is None or engine.connections.watchers(Topic(job_id=job_id).channel):
            return
        left = until - engine.clock.now()
        # Who reads the log again and again notes so every minute, and is to be left in peace; who
        # noted longer was a connection of bare lines.
        if left > WATCHED_FOR or left < WATCHED_FOR / 2:
            engine.jobs.unwatch(job_id, until)
