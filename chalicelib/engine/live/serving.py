"""One message of a client, answered; whatever it is, the connection goes on or is ended cleanly.

One rule: a refusal is one `error` message, and what a client sent never stands in a log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress

from chalicelib.domain.audit import AuditEntry, AuditResult
from chalicelib.domain.callers import Caller
from chalicelib.domain.errors import (
    HiddenError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    StroemError,
    UnauthenticatedError,
)
from chalicelib.domain.live import Connection, Mode, Topic
from chalicelib.engine import audit
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import messages, subscribing
from chalicelib.engine.live.closing import close, close_unknown
from chalicelib.engine.live.messages import ClosingCode, ErrorCode
from chalicelib.engine.live.requests import (
    Ping,
    Range,
    RefusedError,
    Request,
    Subscribe,
    Unsubscribe,
    request_of,
)
from chalicelib.engine.live.sending import Sent, send

_log = logging.getLogger("stroem.live")
_DENIALS = (HiddenError, PermissionDeniedError)


def serve(engine: Engine, connection_id: str, frame: str) -> str:
    """Answer one frame of a client; return a word for the log of what became of it.

    Raises:
        StroemError: the table of connections did not answer.
    """
    try:
        connection = engine.connections.connection(connection_id)
    except NotFoundError:
        # It ended for us: its user was shut out, or its time is over.
        close_unknown(engine, connection_id)
        return "unknown"
    if connection.mode is Mode.LINES:
        return "ignored"
    try:
        request = request_of(frame)
    except RefusedError as error:
        return _refuse(engine, connection_id, error)
    return _answer(engine, connection, request)


def refuse_fast(engine: Engine, connection_id: str) -> None:
    """Tell a client that its message was not looked at: it sends too many."""
    text = "more than 20 messages a second: this one was not looked at"
    send(engine, connection_id, messages.error(None, ErrorCode.TOO_FAST, text))


def end_flood(engine: Engine, connection_id: str) -> None:
    """End a connection that goes on sending too many messages."""
    try:
        close(engine, engine.connections.connection(connection_id), ClosingCode.FLOOD)
    except NotFoundError:
        engine.pushes.close(connection_id)


def _answer(engine: Engine, connection: Connection, request: Request) -> str:
    try:
        return _done(engine, connection, request)
    except UnauthenticatedError:
        close(engine, connection, ClosingCode.RIGHTS_LOST)
        return "closed"
    except RefusedError as error:
        refusal = error
    except StroemError as error:
        refusal = RefusedError(_code_of(error), error.message)
    except Exception:  # noqa: BLE001 - the edge of a message
        # One message must not end what else the connection watches.
        _log.exception("message failed", extra={"connection": connection.connection_id})
        refusal = RefusedError(ErrorCode.UNAVAILABLE, "this could not be done now: try again")
    refusal.message_id = request.message_id
    return _refuse(engine, connection.connection_id, refusal)


def _done(engine: Engine, connection: Connection, request: Request) -> str:
    caller = engine.gate.caller_again(connection.identity)
    topic = None if isinstance(request, Ping) else request.topic
    watched = _watched(connection, request)
    try:
        for text in _texts(engine, caller, connection, request):
            if send(engine, connection.connection_id, text, watched) is not Sent.SENT:
                return "cut"
    except _DENIALS as error:
        _audit(engine, caller, topic, error)
        raise
    return "answered"


def _watched(connection: Connection, request: Request) -> Topic | None:
    """Return the subscription by which the answer is heard of again, if it is cut off."""
    if isinstance(request, Range) and request.topic not in connection.topics:
        return Topic(job_id=request.topic.job_id)
    return request.topic if isinstance(request, Range | Subscribe) else None


def _texts(
    engine: Engine, caller: Caller, connection: Connection, request: Request
) -> Iterator[str]:
    match request:
        case Subscribe():
            yield from subscribing.subscribe(engine, caller, connection, request)
        case Range():
            yield from subscribing.again(engine, caller, connection, request)
        case Ping():
            yield subscribing.ping(engine, caller, connection, request)
        case Unsubscribe():
            subscribing.unsubscribe(engine, connection, request)


def _refuse(engine: Engine, connection_id: str, error: RefusedError) -> str:
    with suppress(StroemError):
        text = messages.error(error.message_id, error.code, error.message)
        send(engine, connection_id, text)
    return error.code.value


def _code_of(error: StroemError) -> ErrorCode:
    match error:
        case NotFoundError():
            return ErrorCode.NOT_FOUND
        case PermissionDeniedError():
            return ErrorCode.FORBIDDEN
        case InvalidError():
            return ErrorCode.BAD_MESSAGE
        case _:
            return ErrorCode.UNAVAILABLE


def _audit(engine: Engine, caller: Caller, topic: Topic | None, error: StroemError) -> None:
    entry = AuditEntry(
        action="subscribe",
        resource=topic.key if topic else "",
        result=AuditResult.DENIED,
        actor=caller.email or caller.name,
        actor_kind=caller.kind.value,
        actor_id=caller.user_id,
        key_id=caller.key_id,
        reason=error.message,
    )
    with suppress(StroemError):
        audit.record(engine, entry)
