"""Which token a worker shows: the one that it was given, or the short-lived one of its session.

The one rule: the given token leaves the process only to open a session and to get a session's
token; where the server gives none out, it is shown always, as to Strøm's own server.
Source: security, S15.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from chalicelib.domain.errors import StroemError

# Of a token's life, what may pass before another one is asked for.
_RENEWED_AFTER = 0.75
_AGAIN_S = 10.0

Renew = Callable[[str, dict[str, str]], dict[str, Any]]


class Bearer:
    """The header of requests; `renew` asks for another token. Safe for any number of threads."""

    def __init__(self, given: str | None, renew: Renew) -> None:
        self._given = given
        self._renew = renew
        self._lock = threading.Lock()
        self._session = ""
        self._token: str | None = None
        self._renewed_at = 0.0

    def enrolment(self) -> dict[str, str]:
        """Return the header with the token that the worker was given."""
        return _header(self._given)

    def begin(self, session: str, answer: dict[str, Any]) -> None:
        """Go on with what the server gave out for a new session, if anything."""
        with self._lock:
            self._session = session
            self._keep(answer)

    def header(self) -> dict[str, str]:
        """Return the header to show now; a token that ends soon is renewed first."""
        with self._lock:
            if self._token is not None and time.monotonic() >= self._renewed_at:
                self._ask()
            return _header(self._token or self._given)

    def refused(self, header: dict[str, str]) -> bool:
        """Say whether another token is at hand in place of the one that was refused."""
        with self._lock:
            if self._token is None:
                return False
            if header == _header(self._token):
                self._ask()
            return header != _header(self._token)

    def _ask(self) -> None:
        try:
            self._keep(self._renew(self._session, self.enrolment()))
        except StroemError:
            # The present one may still be good; when it is not, the refusal says why.
            self._renewed_at = time.monotonic() + _AGAIN_S

    def _keep(self, answer: dict[str, Any]) -> None:
        token, life_s = answer.get("access_token"), float(answer.get("expires_in") or 0)
        self._token = str(token) if token else None
        self._renewed_at = time.monotonic() + _RENEWED_AFTER * life_s


def _header(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
