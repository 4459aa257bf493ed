"""What the WebSocket API brings: a connection opened, a message of it, its end.

One rule: nothing that it brings is trusted, none of it makes a handler fail, and what may be a
ticket or a token, or was sent by a client, stands in no log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    StroemError,
    UnauthenticatedError,
)
from chalicelib.domain.values import JsonObject
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import connecting, parting, serving
from chalicelib.engine.live.connecting import Handshake
from chalicelib.settings import access, edge_settings
from chalicelib.triggers.floods import Flow, floods

_log = logging.getLogger("stroem.live")
_OK = 200
_UNAVAILABLE = 503
_STATUSES: tuple[tuple[type[StroemError], int], ...] = (
    (UnauthenticatedError, 401),
    (PermissionDeniedError, 403),
    (NotFoundError, 404),
    (InvalidError, 400),
)
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("127.0.0.1", "localhost")


def on_connect(engine: Engine, event: Mapping[str, Any]) -> JsonObject:
    """Answer a handshake: 200 opens the connection."""
    if _is_message(event):
        return on_message(engine, event)
    started = time.perf_counter()
    connection_id = _connection_in(event)
    try:
        shake = _handshake(event, connection_id)
        result, status = connecting.connect(engine, shake, _origins()).value, _OK
    except StroemError as error:
        status = next((s for kind, s in _STATUSES if isinstance(error, kind)), _UNAVAILABLE)
        result = error.code
    except Exception:  # noqa: BLE001 - the edge of the process
        _log.exception("handshake failed", extra={"connection": connection_id})
        result, status = "error", _UNAVAILABLE
    return _answered("connect", connection_id, result, started, status)


def on_message(engine: Engine, event: Mapping[str, Any]) -> JsonObject:
    """Answer one message of a client."""
    started = time.perf_counter()
    connection_id = _connection_in(event)
    try:
        result = _served(engine, connection_id, event)
    except StroemError as error:
        result = error.code
    except Exception:  # noqa: BLE001 - the edge of the process
        _log.exception("message failed", extra={"connection": connection_id})
        result = "error"
    return _answered("message", connection_id, result, started)


def on_disconnect(engine: Engine, event: Mapping[str, Any]) -> JsonObject:
    """Forget a connection that has ended."""
    if _is_message(event):
        return on_message(engine, event)
    started = time.perf_counter()
    connection_id = _connection_in(event)
    floods.forget(connection_id)
    try:
        parting.part(engine, connection_id)
        result = "forgotten"
    except StroemError as error:
        # It expires by itself, and whoever sends to it finds it gone.
        result = error.code
    return _answered("disconnect", connection_id, result, started)


def _served(engine: Engine, connection_id: str, event: Mapping[str, Any]) -> str:
    match floods.take(connection_id, engine.clock.now()):
        case Flow.END:
            serving.end_flood(engine, connection_id)
            return "flood"
        case Flow.REFUSE:
            serving.refuse_fast(engine, connection_id)
            return "too_fast"
        case Flow.PASS:
            # A frame of bytes is as good as an empty one: no message.
            frame = "" if event.get("isBase64Encoded") else str(event.get("body") or "")
            return serving.serve(engine, connection_id, frame)


def _handshake(event: Mapping[str, Any], connection_id: str) -> Handshake:
    query: Mapping[str, str] = event.get("queryStringParameters") or {}
    token = query.get("token")
    return Handshake(
        connection_id=connection_id,
        origin=_header(event, "origin"),
        ticket=query.get("ticket"),
        job_id=query.get("job"),
        authorization=f"Bearer {token}" if token else _header(event, "authorization"),
        skip_backfill=query.get("skip_backfill", "").lower() in ("true", "1"),
    )


def _header(event: Mapping[str, Any], name: str) -> str | None:
    """Return a header, whatever the case of its name; one that came twice with all its values."""
    many = {key.lower(): value for key, value in (event.get("multiValueHeaders") or {}).items()}
    single = {key.lower(): value for key, value in (event.get("headers") or {}).items()}
    found = many.get(name) or ([single[name]] if name in single else None)
    return ", ".join(found) if found else None


def _origins() -> frozenset[str]:
    """Return the origins of the pages that may connect."""
    own = _origins_of(access().base_url)
    return frozenset(origin.lower() for origin in (*edge_settings().cors_origins, *own))


def _origins_of(url: str | None) -> Iterator[str]:
    """Yield how browsers spell the place of an address; a local stack has two names."""
    parts = urlsplit(url or "")
    if not parts.hostname:
        return
    is_usual = parts.port in (None, _PORTS.get(parts.scheme))
    for name in _LOOPBACK if parts.hostname in _LOOPBACK else (parts.hostname,):
        yield f"{parts.scheme}://{name}{'' if is_usual else f':{parts.port}'}"


def _is_message(event: Mapping[str, Any]) -> bool:
    """Say whether a client sent this itself, by the name of a route as the action."""
    return bool(event["requestContext"].get("eventType") == "MESSAGE")


def _connection_in(event: Mapping[str, Any]) -> str:
    return str(event["requestContext"]["connectionId"])


def _answered(
    what: str, connection_id: str, result: str, started: float, status: int = _OK
) -> JsonObject:
    ms = round((time.perf_counter() - started) * 1000, 1)
    extra = {"connection": connection_id, "result": result, "status": status, "ms": ms}
    _log.info(what, extra=extra)
    return {"statusCode": status}
