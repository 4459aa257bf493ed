"""Requests to identity providers: few, short, and to nowhere else.

One rule: no redirect is followed and no answer is read beyond its limit, whatever the other side
sends. Source: security, S4, S8.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.oidc import is_safe_url

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

MAX_ANSWER_BYTES = 64 * 1024
_CONNECT_S, _READ_S = 3.0, 5.0
_CONNECTIONS = 4
_PART_BYTES = 8192


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What came back; the body has `MAX_ANSWER_BYTES` at most."""

    status: int
    body: bytes


class Web(Protocol):
    """Requests over HTTP.

    Raises UnavailableError: no answer in time, one too long, or no way there.
    """

    def get(self, url: str, headers: Mapping[str, str]) -> WebAnswer:
        """Read."""

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> WebAnswer:
        """Send a form."""


class UrllibWeb:
    """Requests by urllib3, with certificates checked. Safe for any number of threads."""

    def get(self, url: str, headers: Mapping[str, str]) -> WebAnswer:
        return self._ask("GET", url, None, headers)

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> WebAnswer:
        return self._ask("POST", url, fields, headers)

    @cached_property
    def _pool(self) -> PoolManager:
        # Loaded when the first user comes: most processes see none.
        from urllib3 import PoolManager  # noqa: PLC0415 - see above
        from urllib3.util import Timeout  # noqa: PLC0415 - see above

        timeout = Timeout(connect=_CONNECT_S, read=_READ_S, total=_CONNECT_S + _READ_S)
        return PoolManager(_CONNECTIONS, timeout=timeout, retries=False)

    def _ask(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> WebAnswer:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - see above

        if not is_safe_url(url):
            raise UnavailableError(f"{url[:200]} is not asked: it does not begin with https://")
        # What is packed could grow when it is unpacked.
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        if fields is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            answer = self._pool.request(
                method,
                url,
                body=urlencode(fields) if fields is not None else None,
                headers=sent,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            body = _body(answer)
        except (HTTPError, OSError) as error:
            raise UnavailableError(
                f"{_host(url)} did not answer ({type(error).__name__}): try again"
            ) from None
        if len(body) > MAX_ANSWER_BYTES:
            limit = MAX_ANSWER_BYTES // 1024
            raise UnavailableError(f"{_host(url)} answered with more than {limit} KB")
        return WebAnswer(answer.status, body)


def _body(answer: BaseHTTPResponse) -> bytes:
    """Return the body, or what of it is just too long; give up on one that comes drop by drop."""
    body = bytearray()
    until_s = time.monotonic() + _READ_S
    try:
        while len(body) <= MAX_ANSWER_BYTES:
            part = answer.read1(_PART_BYTES)
            if not part:
                break
            if time.monotonic() > until_s:
                raise TimeoutError
            body += part
    finally:
        # What is left unread stays on a connection that is not used again.
        answer.close()
    return bytes(body)


def _host(url: str) -> str:
    return url.split("/")[2]
