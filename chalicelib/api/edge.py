"""The one way through which every request goes: check, call one function, answer, log one line.

One rule: a route's view sees no Chalice class; it gets a `Call` and returns a model or a `Reply`.
Source: decision 16; house, section 4.4.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, TypeAlias
from urllib.parse import unquote

from chalice.app import Blueprint, CaseInsensitiveMapping, Request, Response

from chalicelib.api import auditing, headers, problems
from chalicelib.api.call import Call, checked_id
from chalicelib.api.limits import limiter
from chalicelib.api.operation import Operation
from chalicelib.api.replies import Answer, Reply, Sent, response_of
from chalicelib.api.worker_access import caller_of as worker_caller
from chalicelib.api.worker_access import worker_pass
from chalicelib.domain.errors import NotFoundError, StroemError
from chalicelib.settings import edge_settings

__all__ = ["Answer", "Call", "Operation", "Reply", "Sent", "answered", "checked_id", "observe"]

_log = logging.getLogger("stroem.api")
ALL_TYPES = "*/*"
_ERROR = 400
_LONGEST_PART = 900
_OURS = (problems.PROBLEM_JSON, "application/json", "text/html; charset=utf-8")

Next: TypeAlias = Callable[[Request], Response]


def answered(bp: Blueprint, operation: Operation) -> Callable[[Callable[..., Answer]], Any]:
    """Make a view what Chalice can call: its errors become answers; its operation stays on it."""

    def decorate(view: Callable[..., Answer]) -> Any:  # noqa: ANN401 - what Chalice registers
        @wraps(view)
        def handler(**path: str) -> Response:
            request = bp.current_request
            call = Call(operation, request, request_id_of(request))
            told: dict[str, str] = {}
            failure: Exception | None = None
            try:
                call = _recognised(call)
                _let_in(call, told)
                answer = response_of(view(call, **_parts(path)), operation.status)
            except StroemError as error:
                failure, answer = error, problems.problem_of(error, call.request_id)
            except Exception as error:  # noqa: BLE001 - the edge of the process: nothing may leak
                _log.exception("request failed", extra=_about(request))
                failure, answer = error, problems.internal(call.request_id)
            answer.headers.update(told)
            auditing.keep(call, view.__name__, failure, answer.status_code)
            return answer

        handler.operation = operation  # type: ignore[attr-defined]  # read by openapi.py
        return handler

    return decorate


def _parts(path: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of the address as their names mean them.

    Raises:
        NotFoundError: no table has a key for it, so nothing is named so.
    """
    parts = {name: unquote(part) for name, part in path.items()}
    for name, part in parts.items():
        # A signed link is no key.
        if not part or (name != "token" and len(part.encode()) > _LONGEST_PART):
            raise NotFoundError(f"there is no {name} of 0 or over {_LONGEST_PART} bytes")
    return parts


def _recognised(call: Call) -> Call:
    """Return the call with who makes it. Raises UnauthenticatedError."""
    if call.operation.by_worker:
        shown = worker_pass(call.engine, call.header("Authorization"))
        return replace(call, worker=shown, caller=worker_caller(shown))
    if call.operation.public:
        return call
    return replace(call, caller=call.engine.gate.caller_of(call.header("Authorization")))


def _let_in(call: Call, told: dict[str, str]) -> None:
    """Let pass who has the permission and does not ask too often, which headers in `told` tell.

    Raises:
        RateLimitedError: too often.
        PermissionDeniedError: the caller lacks the permission.
    """
    if call.operation.public or call.operation.by_worker:
        return
    limiter.take(call.caller, edge_settings().rate, call.engine.clock.now(), told)
    if call.operation.needs is not None:
        call.rights.hold(call.operation.needs)


def observe(request: Request, get_response: Next) -> Response:
    """Middleware of every request: refusals of Chalice itself in our form, and one log line."""
    started = time.perf_counter()
    if "accept" not in request.headers:
        # Chalice refuses those who do not say that they take bytes.
        request.headers = CaseInsensitiveMapping({**request.headers, "accept": ALL_TYPES})
    origins = edge_settings().cors_origins
    answer = headers.preflight(request, origins) or get_response(request)
    request_id = request_id_of(request)
    kind = answer.headers.get("Content-Type")
    if answer.status_code >= _ERROR and kind not in _OURS:
        answer = problems.of_framework(answer, request_id)
    headers.complete(request, answer, origins)
    answer.headers["X-Request-Id"] = request_id
    ms = round((time.perf_counter() - started) * 1000, 1)
    _log.info("request", extra={**_about(request), "status": answer.status_code, "ms": ms})
    return Sent(answer.body, answer.headers, answer.status_code)


def request_id_of(request: Request) -> str:
    """Return the id by which a request is found in the log."""
    found = getattr(request.lambda_context, "aws_request_id", None)
    return str(found or request.context.get("requestId") or "unknown")


def _about(request: Request) -> dict[str, str]:
    return {
        "method": request.method,
        "route": request.path,
        "request_id": request_id_of(request),
    }
