"""A connection of bare lines gets what it has not had yet of its job's log.

One rule: one process at a time sends, in order, and notes each frame before: no line comes twice,
and none is left out unless a process dies, or API Gateway does not answer, in between.
Source: HTTP API, section 4.4; live logs, section 2.3.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta

from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
    RateLimitedError,
    StroemError,
)
from chalicelib.domain.live import MAX_MESSAGE_BYTES, Connection
from chalicelib.engine.live.audience import kept_job
from chalicelib.engine.live.batch import Batch
from chalicelib.engine.live.parting import part
from chalicelib.engine.live.relay_lines import (
    ARCHIVE,
    Mark,
    Numbered,
    lines_behind,
    lines_of_attempts,
    noted,
)
from chalicelib.engine.live.relay_lock import Held, take

# API Gateway takes a message of 128 KB in frames of 32.
LONGEST_LINE_BYTES = 120 * 1024
_PAUSE_S = 0.5
# API Gateway may not know a connection yet that was opened just now.
_YOUNG = timedelta(seconds=30)
_TRIES_YOUNG = 11
_TRIES_SLOW = 3


def relay(
    batch: Batch, connection_id: str, job_id: str, touched: Collection[Mark] | None = None
) -> None:
    """Send what the connection has not had of these attempts; None: of the whole job.

    Where another process sends to it, that one goes on with it; where the batch's time is over,
    the batch does that comes of waking the connection.

    Raises:
        NotFoundError: the connection, or the job, is gone.
    """
    connections = batch.engine.connections
    if batch.is_late():
        connections.wake(connection_id)
        return
    held = take(batch.engine, connection_id)
    if held is None:
        return
    connection = connections.connection(connection_id)
    try:
        if not _rounds(batch, job_id, connection, held, touched):
            # Only now: whoever is woken by it must find nobody who sends.
            connections.wake(connection_id)
    except ConflictError:
        # Another process took over, and sends the rest.
        return
    except NotFoundError:
        with suppress(StroemError):
            part(batch.engine, connection_id)
        raise
    except StroemError:
        with suppress(StroemError):
            held.release()
        raise


def _rounds(
    batch: Batch, job_id: str, connection: Connection, held: Held, touched: Collection[Mark] | None
) -> bool:
    """Send until the others have no news either, and give the relay back; as `_round`."""
    is_done = _round(batch, connection, held, _news(batch, job_id, held, touched))
    while not held.release():
        is_done = False
        # They may always have some.
        if not batch.is_late():
            # Of what, is not known.
            is_done = _round(batch, connection, held, _news(batch, job_id, held, None))
    return is_done


def _news(
    batch: Batch, job_id: str, held: Held, touched: Collection[Mark] | None
) -> Iterator[Numbered]:
    # What is there is sent in order of time, so nothing goes ahead of it; an archive has it all.
    is_first = not (held.sent or held.server_after)
    if touched is None or is_first or ARCHIVE in held.sent:
        found = lines_behind(batch.engine, job_id, held.sent, held.server_after)
    else:
        found = lines_of_attempts(batch.engine, job_id, held.sent, touched)
    redactor = kept_job(batch.engine, job_id).redactor
    return (Numbered(redactor.log_line(one.text), one.mark, one.number) for one in found)


def _round(batch: Batch, connection: Connection, held: Held, lines: Iterable[Numbered]) -> bool:
    """Send the lines; False: there was no time for all, or it took some and then no more.

    One frame is sent in any case.
    """
    for number, frame in enumerate(_frames(lines)):
        if number and batch.is_late():
            return False
        before = (held.sent, held.server_after)
        held.note(*noted(*before, frame))
        text = "".join(f"{_fitting(line.text)}\n" for line in frame)
        try:
            _post(batch, connection, text)
        except RateLimitedError:
            # It surely did not arrive, so it may come again: soon to one that reads slowly, and
            # with what is told next to one that takes nothing.
            held.note(*before)
            batch.figures.behind += 1
            return number == 0
        batch.figures.frames += 1
    return True


def _post(batch: Batch, connection: Connection, text: str) -> None:
    tried = 0
    while True:
        tried += 1
        try:
            batch.engine.pushes.post(connection.connection_id, text)
        except NotFoundError:
            is_young = batch.engine.clock.now() < connection.opened_at + _YOUNG
            if not is_young or tried >= _TRIES_YOUNG:
                raise
            # One that has ended already is not waited for.
            batch.engine.connections.connection(connection.connection_id)
        except RateLimitedError:
            if tried >= _TRIES_SLOW:
                raise
        else:
            return
        batch.pause(_PAUSE_S)


def _frames(lines: Iterable[Numbered]) -> Iterator[list[Numbered]]:
    held: list[Numbered] = []
    size = 0
    for line in lines:
        own = _size(line.text) + 1
        if held and size + own > MAX_MESSAGE_BYTES:
            yield held
            held, size = [], 0
        held.append(line)
        size += own
    if held:
        yield held


def _fitting(line: str) -> str:
    """Return the line, its text cut if it is longer than API Gateway takes."""
    if _size(line) < LONGEST_LINE_BYTES:
        return line
    body = json.loads(line)
    text = body["line"]

    def cut(kept: int) -> str:
        return _json(body | {"line": f"{text[:kept]}…"})

    return cut(bisect_left(range(len(text)), LONGEST_LINE_BYTES, key=lambda n: _size(cut(n))) - 1)


def _size(text: str) -> int:
    return len(text.encode())


def _json(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
