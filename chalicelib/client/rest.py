"""The REST API as the client uses it, and errors that tell whether asking again may help.

One rule: our token goes to the server alone, never to an address that the server names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import urllib3

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_FAILED = 400
_UNKNOWN = 401
_TOO_MANY = 429
_BROKEN = 500


class ServerError(Exception):
    """The server refused, or did not answer (`status` None). The message is for people."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    @property
    def is_passing(self) -> bool:
        """Say whether asking again later may help."""
        return self.status is None or self.status == _TOO_MANY or self.status >= _BROKEN


class FollowTimeoutError(Exception):
    """The job has not ended in the time given; it goes on."""


class Rest(Protocol):
    """Requests that are authorized as their caller is. Each raises ServerError."""

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer's JSON. Query members that are None are left out."""

    def post(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Send an empty JSON object and return the answer's JSON."""

    def fetch(self, url: str) -> bytes:
        """Return what lies at an address that the server told, asked for without a token."""


class Token(Protocol):
    """What to show as a bearer token; called with True after one was refused. None: nothing."""

    def __call__(self, was_refused: bool, /) -> str | None:  # noqa: FBT001 - one flag, by place
        """Return the token."""


def path_of(*parts: str) -> str:
    """Return an address path; each part is escaped."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True, slots=True)
class HttpRest:
    """The requests over HTTP."""

    url: str
    token: Token
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer's JSON."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        return self._asked("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def post(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Send an empty JSON object and return the answer's JSON."""
        return self._asked("POST", path, b"{}")

    def fetch(self, url: str) -> bytes:
        """Return what lies at an address, asked for without our token."""
        return fetched(self.pool, url)

    def _asked(self, method: str, path: str, body: bytes | None) -> Any:  # noqa: ANN401 - JSON
        url = self.url.rstrip("/") + path
        answer = _request(self.pool, method, url, body, self.token(False))  # noqa: FBT003 - as Token says
        if answer.status == _UNKNOWN:
            other = self.token(True)  # noqa: FBT003 - the same
            answer = _request(self.pool, method, url, body, other)
        try:
            found = json.loads(answer.data)
        except ValueError:
            raise ServerError(
                f"{path}: HTTP {answer.status} without JSON", answer.status
            ) from None
        if answer.status >= _FAILED:
            why = found.get("error") if isinstance(found, dict) else None
            raise ServerError(str(why or f"{path}: HTTP {answer.status}"), answer.status)
        return found


def fetched(pool: urllib3.PoolManager, url: str) -> bytes:
    """Return what lies at a presigned address. Raises ServerError, without the address."""
    try:
        answer = pool.request("GET", url, timeout=_TIMEOUT, decode_content=False)
    except urllib3.exceptions.HTTPError:
        raise ServerError("a part of the log does not come") from None
    if answer.status >= _FAILED:
        raise ServerError(f"a part of the log: HTTP {answer.status}", answer.status)
    return answer.data


def _request(
    pool: urllib3.PoolManager, method: str, url: str, body: bytes | None, token: str | None
) -> urllib3.BaseHTTPResponse:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        return pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT)
    except urllib3.exceptions.HTTPError as error:
        raise ServerError(f"the server does not answer ({type(error).__name__})") from None
