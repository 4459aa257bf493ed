"""Headers of every answer: what browsers may do with it, and who may ask from another site.

One rule: an origin is let in by its exact name only, and never by `*`. Source: security, S20, S21.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalice.app import Request, Response

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
# What is no page shows nothing and runs nothing; a page brings a policy of its own.
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_HSTS = "max-age=31536000; includeSubDomains"
_METHODS = "GET, POST, PUT, PATCH, DELETE"
_SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
_READ = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_PREFLIGHT_S = 600


def complete(request: Request, answer: Response, origins: Sequence[str]) -> None:
    """Give the answer the headers that all have; what a view said of its policy stands."""
    headers = answer.headers
    headers.update(_ALWAYS)
    headers.setdefault("Content-Security-Policy", _POLICY)
    if request.headers.get("x-forwarded-proto") == "https":
        headers["Strict-Transport-Security"] = _HSTS
    headers.update(_shared(request, origins))


def preflight(request: Request, origins: Sequence[str]) -> Response | None:
    """Return the answer to a browser that asks before it asks; None if that is no such request.

    An origin that is not let in gets no permission, and so its browser asks no further.
    """
    asks = request.headers.get("access-control-request-method")
    if request.method != "OPTIONS" or asks is None or not origins:
        return None
    headers: dict[str, str | list[str]] = {}
    if request.headers.get("origin") in origins:
        headers = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _SENT,
            "Access-Control-Max-Age": str(_PREFLIGHT_S),
        }
    return Response("", headers, 204)


def _shared(request: Request, origins: Sequence[str]) -> dict[str, str | list[str]]:
    if not origins:
        return {}
    origin: str | None = request.headers.get("origin")
    if origin is None or origin not in origins:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": _READ,
    }
