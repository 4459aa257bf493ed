"""Errors as answers: RFC 9457 problem documents, with the `error` text that clients of Strøm read.

One rule: each class of the error tree has a row of `STATUSES`; no other file gives it a status.
Source: decision 3; HTTP API, section 4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    ForeignStepError,
    HiddenError,
    IdempotencyError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    StroemError,
    TemplateError,
    TooEarlyError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    WorkspaceError,
)

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:stroem:problem:"

STATUSES: dict[type[StroemError], tuple[int, str]] = {
    StroemError: (500, "Internal server error"),
    InvalidError: (400, "The request is not valid"),
    WorkspaceError: (422, "The workspace does not load"),
    TemplateError: (422, "A template could not be rendered"),
    NotFoundError: (404, "Not found"),
    HiddenError: (404, "Not found"),
    ConflictError: (409, "Not possible in the present state"),
    FencedError: (409, "The step is held by another attempt"),
    ForeignStepError: (409, "The step is held by another worker"),
    TooEarlyError: (409, "Too early"),
    IdempotencyError: (422, "The idempotency key was used with another body"),
    TooLargeError: (413, "Too large"),
    RateLimitedError: (429, "Too many requests"),
    PermissionDeniedError: (403, "Not allowed"),
    UnauthenticatedError: (401, "Not authenticated"),
    UnavailableError: (503, "A service did not answer"),
}

_OF_EDGE = {
    400: ("invalid", "The request is not valid"),
    403: ("permission-denied", "Not allowed"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "The route does not know this method"),
    415: ("unsupported-media-type", "The body must be JSON: send Content-Type: application/json"),
}


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    request_id: str,
    **more: Any,  # noqa: ANN401 - further members, JSON
) -> Response:
    """Return an answer with one problem document. Members of `more` that are None are left out."""
    body = {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "error": detail,
        "request_id": request_id,
        **{key: value for key, value in more.items() if value is not None},
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, {"Content-Type": PROBLEM_JSON}, status)


def problem_of(
    error: StroemError, request_id: str, errors: Sequence[Mapping[str, Any]] | None = None
) -> Response:
    """Return the answer that stands for the error; `errors` replaces its violations."""
    status, title = next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)
    if errors is None and isinstance(error, InvalidError) and error.violations:
        errors = [{"pointer": v.pointer, "message": v.message} for v in error.violations]
    answer = problem(status, error.code, title, error.message, request_id, errors=errors)
    if isinstance(error, RateLimitedError):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnavailableError):
        answer.headers["Retry-After"] = "1"
    if isinstance(error, UnauthenticatedError):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def internal(request_id: str) -> Response:
    """Return the answer to what should not have happened: no details, only the id to look up."""
    text = "Internal server error"
    return problem(500, "internal", text, text, request_id)


def of_framework(answer: Response, request_id: str) -> Response:
    """Return a refusal that Chalice made by itself (405, 415, …) in our form, its headers kept."""
    known = _OF_EDGE.get(answer.status_code)
    if known is None:
        return internal(request_id)
    code, title = known
    replaced = problem(answer.status_code, code, title, title, request_id)
    replaced.headers.update({k: v for k, v in answer.headers.items() if k.lower() == "allow"})
    return replaced


def no_such_route(request_id: str) -> Response:
    """Return the answer for a path that no route knows; the gateway in front asks for it."""
    text = "there is no such route: see docs/reference/http-api.md for those that there are"
    return problem(404, "not-found", "Not found", text, request_id)
