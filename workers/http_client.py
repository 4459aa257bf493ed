"""JSON over HTTP for one server, with refusals as the errors that they stand for.

The one rule: what is asked with `AGAIN` may arrive twice; what must not, is asked with `ONCE`.
Source: HTTP API, section 4.3.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import urllib3

from chalicelib.domain.errors import (
    FencedError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    StroemError,
    TemplateError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from workers.bearer import Bearer

_JSON = {"Content-Type": "application/json"}
_READ_S = 30.0
_CONNECT_S = 5.0
AGAIN = urllib3.Retry(
    total=3,
    redirect=0,
    allowed_methods=None,
    status_forcelist=(500, 502, 503, 504),
    backoff_factor=0.1,
    backoff_jitter=0.1,
    raise_on_status=False,
    respect_retry_after_header=False,
)
ONCE = urllib3.Retry(total=2, connect=2, read=0, redirect=0, status=0, other=0)
_ERRORS: dict[int, type[StroemError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: FencedError,
    413: TooLargeError,
    422: InvalidError,
}


class Client:
    """A client of one server. `connections` is how many may be open at once and kept."""

    def __init__(self, url: str, token: str | None, connections: int) -> None:
        self.url = url.rstrip("/")
        self._bearer = Bearer(token, self._renew)
        self._http = urllib3.PoolManager(
            maxsize=connections, timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        )

    def get(self, url: str, *, shows_token: bool = True) -> urllib3.BaseHTTPResponse:
        """Get what stands at a whole URL, whatever its status."""
        if not shows_token:
            return self._request("GET", url, headers={})
        return self._shown("GET", url, {}, retries=AGAIN)

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the JSON object at a path."""
        return self._object(path, self.get(self.url + path))

    def post(
        self, path: str, body: dict[str, Any], retries: urllib3.Retry = AGAIN
    ) -> dict[str, Any]:
        """Post a JSON object and return the one that is answered."""
        answer = self._shown("POST", self.url + path, _JSON, body=_encoded(body), retries=retries)
        return self._object(path, answer)

    def enrol(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Open a session: post with the token that was given, and go on with the session's own."""
        headers = self._bearer.enrolment() | _JSON
        answer = self._request(
            "POST", self.url + path, body=_encoded(body), headers=headers, retries=ONCE
        )
        opened = self._object(path, answer)
        self._bearer.begin(str(opened.get("worker_id")), opened)
        return opened

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()

    def _renew(self, session: str, header: dict[str, str]) -> dict[str, Any]:
        path, body = "/worker/token", _encoded({"worker_id": session})
        answer = self._request("POST", self.url + path, body=body, headers=header | _JSON)
        return self._object(path, answer)

    def _shown(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        *,
        retries: urllib3.Retry,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Ask with a token; once more with another one when the first is good no longer."""
        bearer = self._bearer.header()
        answer = self._request(method, url, body=body, headers=bearer | headers, retries=retries)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._bearer.refused(bearer):
            bearer = self._bearer.header()
            return self._request(method, url, body=body, headers=bearer | headers, retries=retries)
        return answer

    def _object(self, path: str, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        check(answer)
        try:
            parsed = json.loads(answer.data)
        except ValueError as error:
            raise UnavailableError(f"{self.url}{path} answered with no JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise UnavailableError(f"{self.url}{path} answered with no JSON object")
        return parsed

    def _request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        body: bytes | None = None,
        retries: urllib3.Retry = AGAIN,
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request(
                method, url, body=body, headers=headers, retries=retries, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"{self.url} does not answer: {error}") from error


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def check(answer: urllib3.BaseHTTPResponse) -> None:
    """Raise what a refusal stands for."""
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    message, code = _problem(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimitedError(message, int(answer.headers.get("Retry-After") or 1))
    if code == TemplateError.code:
        raise TemplateError(message)
    raise _ERRORS.get(answer.status, UnavailableError)(message)


def _problem(answer: urllib3.BaseHTTPResponse) -> tuple[str, str]:
    """Return the problem's text for people and its code, as far as there is one."""
    try:
        body = json.loads(answer.data)
        text = str(body.get("error") or body.get("detail") or body.get("title"))
        return text, str(body.get("code") or "")
    except (ValueError, AttributeError):
        return f"the server answered {answer.status} {answer.reason or ''}".strip(), ""
