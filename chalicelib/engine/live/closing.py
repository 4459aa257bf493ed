"""Connections that the server ends: their users were shut out, or may do other things now.

One rule: what ends somebody's rights never fails because a connection could not be told.
Source: live logs, section 2.5.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from chalicelib.domain.callers import CallerKind
from chalicelib.domain.errors import StroemError
from chalicelib.domain.live import Connection, Mode
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import messages
from chalicelib.engine.live.messages import ClosingCode
from chalicelib.engine.live.parting import part

_WHY = {
    ClosingCode.LOGGED_OUT: "you have logged out, or your log-ins were ended: log in again",
    ClosingCode.RIGHTS_LOST: "what you may do has changed: connect again",
    ClosingCode.FLOOD: "too many messages came too fast",
    ClosingCode.EXPIRED: "the connection's time is over: connect again",
}


def close(engine: Engine, connection: Connection, code: ClosingCode) -> None:
    """Tell a connection why it ends, and end it."""
    connection_id = connection.connection_id
    with suppress(StroemError):
        # One of bare lines has no word for it.
        if connection.mode is Mode.MESSAGES:
            engine.pushes.post(connection_id, messages.closing(code, _WHY[code]))
    with suppress(StroemError):
        engine.pushes.close(connection_id)
    with suppress(StroemError):
        part(engine, connection_id)


def close_unknown(engine: Engine, connection_id: str) -> None:
    """End a connection of which nothing is kept any more. Raises UnavailableError."""
    with suppress(StroemError):
        code = ClosingCode.EXPIRED
        engine.pushes.post(connection_id, messages.closing(code, _WHY[code]))
    engine.pushes.close(connection_id)


def close_user(engine: Engine, user_id: str, code: ClosingCode) -> None:
    """End all connections of a user and of his keys."""
    _close(engine, user_id, code, lambda _: True)


def close_logged_in(engine: Engine, user_id: str) -> None:
    """End the connections that a user opened by logging in: his keys go on."""
    code = ClosingCode.LOGGED_OUT
    _close(engine, user_id, code, lambda one: one.identity.kind is CallerKind.USER)


def close_key(engine: Engine, user_id: str, key_id: str) -> None:
    """End the connections that were opened by an API key."""
    _close(engine, user_id, ClosingCode.RIGHTS_LOST, lambda one: one.identity.key_id == key_id)


def _close(
    engine: Engine, user_id: str, code: ClosingCode, is_meant: Callable[[Connection], bool]
) -> None:
    with suppress(StroemError):
        for connection_id in engine.connections.of_user(user_id):
            with suppress(StroemError):
                connection = engine.connections.connection(connection_id)
                if is_meant(connection):
                    close(engine, connection, code)
