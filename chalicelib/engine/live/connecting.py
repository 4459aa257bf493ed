"""A connection begins: by a ticket, or for the log of one job as Strøm's own path asks for it.

One rule: nothing is sent before the handshake is answered; where a page comes from is asked first.
Source: live logs, sections 2.2 and 2.5; HTTP API, section 4.4.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import UUID

from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    StroemError,
    UnauthenticatedError,
)
from chalicelib.domain.job import Job
from chalicelib.domain.live import (
    CONNECTION_FOR,
    Connection,
    Identity,
    Mode,
    Topic,
)
from chalicelib.domain.logs import stamp
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Engine
from chalicelib.engine.job_logs import is_archived
from chalicelib.engine.live.attempts import begun, heads_of
from chalicelib.engine.live.parting import part
from chalicelib.engine.live.tickets import redeem

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What a client shows: a ticket, or the id of a job and, where needed, `authorization`.

    `origin` is what browsers say of the page that asks; None: it is no browser.
    """

    connection_id: str
    origin: str | None = None
    ticket: str | None = field(default=None, repr=False)
    job_id: str | None = None
    authorization: str | None = field(default=None, repr=False)
    skip_backfill: bool = False


def connect(engine: Engine, shake: Handshake, origins: Collection[str]) -> Mode:
    """Open the connection; pages of these origins may ask for it. Return how it speaks.

    Raises:
        PermissionDeniedError: the page is another site's, or the caller may read no jobs.
        UnauthenticatedError: the ticket or token is not there, or worth nothing.
        NotFoundError: there is no such job, or it is hidden.
    """
    if shake.origin is not None and shake.origin.lower() not in origins:
        raise PermissionDeniedError(
            "pages of this origin may not connect: STROEM_CORS_ORIGINS names those that may"
        )
    if shake.ticket is not None:
        _open(engine, shake, redeem(engine, shake.ticket), Mode.MESSAGES)
        return Mode.MESSAGES
    if shake.job_id is None:
        raise UnauthenticatedError("show a ticket: POST /api/ws-ticket gives one")
    _open_lines(engine, shake, shake.job_id)
    return Mode.LINES


def _open_lines(engine: Engine, shake: Handshake, shown: str) -> None:
    caller = engine.gate.caller_of(shake.authorization)
    job_id = _checked(shown)
    Rights.of(engine, caller).job(Permission.EXECUTION_READ, job_id)
    job = engine.jobs.get(job_id)
    topics = () if shake.skip_backfill else (Topic(job_id=job_id),)
    opened = _open(engine, shake, Identity.of(caller), Mode.LINES, *topics)
    try:
        _begin(engine, opened, job, skips=shake.skip_backfill)
    except StroemError:
        # Its handshake is refused, so nobody will say that it has ended.
        with suppress(StroemError):
            part(engine, opened.connection_id)
        raise


def _begin(engine: Engine, opened: Connection, job: Job, *, skips: bool) -> None:
    job_id = job.job_id
    if skips:
        # Of one that watches nothing yet nothing was sent.
        _skip(engine, opened, job_id)
        engine.connections.subscribe(opened.connection_id, Topic(job_id=job_id))
    if not is_archived(job):
        engine.jobs.watch(job_id, opened.expires_at)
        # What came since the heads were read is sent for this.
        engine.jobs.pulse(job_id, engine.clock.now())


def _skip(engine: Engine, opened: Connection, job_id: str) -> None:
    """Take all that is there now as sent."""
    now = engine.clock.now()
    found, _ = begun(engine, engine.jobs.load(job_id))
    heads = heads_of(engine, job_id, found)
    sent = {(h.attempt.step, h.attempt.number): h.head for h in heads}
    for _ in range(_TRIES):
        relay = engine.connections.relay(opened.connection_id)
        try:
            engine.connections.put_relay(replace(relay, sent=sent, server_after=stamp(now)))
        except ConflictError:
            # Who is to send was woken by the connection itself.
            continue
        return
    raise ConflictError("the connection is used by others: try again")


def _open(
    engine: Engine, shake: Handshake, identity: Identity, mode: Mode, *topics: Topic
) -> Connection:
    now = engine.clock.now()
    opened = Connection(
        connection_id=shake.connection_id,
        identity=identity,
        mode=mode,
        opened_at=now,
        expires_at=now + CONNECTION_FOR,
        topics=frozenset(topics),
    )
    engine.connections.open(opened)
    return opened


def _checked(text: str) -> str:
    try:
        job_id = str(UUID(text))
    except ValueError:
        job_id = ""
    if job_id != text.lower():
        raise NotFoundError(f"there is no job {text[:80]!r}")
    return job_id
