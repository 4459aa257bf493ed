"""The one way through which every request goes: check, call one function, answer, log one line.

One rule: a route's view sees no Chalice class; it gets a `Call` and returns a model or a `Reply`.
Source: decision 16; house, section 4.4.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from hmac import compare_digest
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote
from uuid import UUID

from chalice.app import Blueprint, CaseInsensitiveMapping, Request, Response
from pydantic import BaseModel

from chalicelib import wiring
from chalicelib.api import problems
from chalicelib.api.bodies import MAX_BODY_BYTES, check_size, read_body, read_query
from chalicelib.domain.callers import ANYBODY, Caller, Permission
from chalicelib.domain.errors import InvalidError, StroemError, UnauthenticatedError
from chalicelib.engine.engine import Engine
from chalicelib.settings import access

_log = logging.getLogger("stroem.api")
ALL_TYPES = "*/*"
_ERROR = 400
_OURS = (problems.PROBLEM_JSON, "application/json", "text/html; charset=utf-8")
_BEARER = "Bearer "
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the route table knows of a route; the OpenAPI document is made of these.

    `errors` are the statuses beside 400 and 503, which every route may answer with. `media` is the
    type of an answer that is no JSON, `form` that of a body that is none. `needs` is a permission
    without which the route refuses its caller; `public` routes ask nobody who they are.
    """

    summary: str
    answer: type[BaseModel] | None
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    by_worker: bool = False
    public: bool = False
    needs: Permission | None = None
    media: str = "application/gzip"
    form: str | None = None
    max_body_bytes: int = MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a view sees it."""

    operation: Operation
    request: Request
    request_id: str
    caller: Caller = ANYBODY

    @property
    def engine(self) -> Engine:
        """Return this process's engine."""
        return wiring.engine()

    @property
    def path(self) -> str:
        """Return the path as the client wrote it."""
        return str(self.request.context.get("path") or self.request.path)

    @property
    def params(self) -> dict[str, str]:
        """Return the query's parameters; of one that was given twice, the last."""
        return dict(self.request.query_params or {})

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name."""
        value: str | None = self.request.headers.get(name)
        return value

    def body(self, model: type[Model]) -> Model:
        """Return the body. Raises InvalidError, TooLargeError."""
        limit = self.operation.max_body_bytes
        return read_body(model, self.raw(limit), limit)

    def raw(self, max_bytes: int) -> bytes:
        """Return the body as it came. Raises InvalidError, TooLargeError."""
        try:
            raw = self.request.raw_body
        except ValueError:
            raise InvalidError("the body is not what its encoding says") from None
        content: bytes = raw.encode() if isinstance(raw, str) else raw
        check_size(content, max_bytes)
        return content

    def query(self, model: type[Model]) -> Model:
        """Return the query's parameters. Raises InvalidError."""
        return read_query(model, self.params)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that needs a status or headers of its own; bytes are sent as they are."""

    body: BaseModel | bytes | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Sent(Response):
    """An answer as it leaves: text is sent as text, and bytes as bytes, whatever their type.

    API Gateway gives bytes out as bytes only if every type counts as binary; Chalice would then
    encode texts too.
    """

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:  # noqa: ARG002 - Chalice's signature
        is_binary = isinstance(self.body, bytes)
        return {
            "headers": dict(self.headers),
            "multiValueHeaders": {},
            "statusCode": self.status_code,
            "body": base64.b64encode(self.body).decode() if is_binary else self.body,
            "isBase64Encoded": is_binary,
        }


Answer: TypeAlias = "BaseModel | Reply | Response"
Next: TypeAlias = Callable[[Request], Response]


def answered(bp: Blueprint, operation: Operation) -> Callable[[Callable[..., Answer]], Any]:
    """Make a view what Chalice can call: its errors become answers; its operation stays on it."""

    def decorate(view: Callable[..., Answer]) -> Any:  # noqa: ANN401 - what Chalice registers
        @wraps(view)
        def handler(**path: str) -> Response:
            request = bp.current_request
            call = Call(operation, request, request_id_of(request))
            try:
                if operation.by_worker:
                    check_worker(call)
                parts = {name: unquote(part) for name, part in path.items()}
                return _response(view(call, **parts), operation.status)
            except StroemError as error:
                return problems.problem_of(error, call.request_id)
            except Exception:  # noqa: BLE001 - the edge of the process: nothing may leak
                _log.exception("request failed", extra=_about(request))
                return problems.internal(call.request_id)

        handler.operation = operation  # type: ignore[attr-defined]  # read by openapi.py
        return handler

    return decorate


def observe(request: Request, get_response: Next) -> Response:
    """Middleware of every request: refusals of Chalice itself in our form, and one log line."""
    started = time.perf_counter()
    if "accept" not in request.headers:
        # Chalice refuses those who do not say that they take bytes.
        request.headers = CaseInsensitiveMapping({**request.headers, "accept": ALL_TYPES})
    answer = get_response(request)
    request_id = request_id_of(request)
    kind = answer.headers.get("Content-Type")
    if answer.status_code >= _ERROR and kind not in _OURS:
        answer = problems.of_framework(answer, request_id)
    answer.headers.update(_HEADERS | {"X-Request-Id": request_id})
    ms = round((time.perf_counter() - started) * 1000, 1)
    _log.info("request", extra={**_about(request), "status": answer.status_code, "ms": ms})
    return Sent(answer.body, answer.headers, answer.status_code)


def request_id_of(request: Request) -> str:
    """Return the id by which a request is found in the log."""
    found = getattr(request.lambda_context, "aws_request_id", None)
    return str(found or request.context.get("requestId") or "unknown")


def check_worker(call: Call) -> None:
    """Let the caller in if it shows the workers' token, or if there is none.

    Raises:
        UnauthenticatedError: it shows none, or another.
    """
    token = access().worker_token
    if token is None:
        return
    given = call.header("Authorization") or ""
    shown = given.removeprefix(_BEARER) if given.startswith(_BEARER) else ""
    if not compare_digest(shown.encode(), token.encode()):
        raise UnauthenticatedError(
            "the worker token is missing or wrong: send `Authorization: Bearer <token>` with the "
            "value of STROEM_WORKER_TOKEN"
        )


def checked_id(text: str, what: str = "a job") -> str:
    """Return the id in lower case.

    Raises:
        InvalidError: it is no UUID, so there can be nothing of that id.
    """
    try:
        plain = str(UUID(text))
    except ValueError:
        plain = ""
    if plain != text.lower():
        raise InvalidError(f"{text[:80]!r} is not the id of {what}: ids are UUIDs")
    return plain


def _response(answer: Answer, status: int) -> Response:
    if isinstance(answer, Response):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(answer, status)
    if not isinstance(reply.body, BaseModel):
        return Response(reply.body or "", dict(reply.headers), reply.status)
    headers: dict[str, str | list[str]] = {"Content-Type": "application/json", **reply.headers}
    return Response(reply.body.model_dump_json(), headers, reply.status)


def _about(request: Request) -> dict[str, str]:
    return {
        "method": request.method,
        "route": request.path,
        "request_id": request_id_of(request),
    }
