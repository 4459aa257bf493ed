"""Talk to a server: JSON in, JSON out, and errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from chalicelib.cli.exits import CommandError, Exit, exit_of_http

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_FAILED = 400


def path_of(*parts: str) -> str:
    """Return an address path; each part is escaped."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True, slots=True)
class Client:
    """One server, with the token to use there."""

    url: str
    token: str | None
    pool: urllib3.PoolManager

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer's JSON. Query members that are None are left out."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        return self._send("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a JSON body and return the answer's JSON."""
        return self._send("POST", path, json.dumps(body or {}).encode(), headers)

    def put_to(self, url: str, content: bytes) -> None:
        """Send bytes to a presigned address, without our token."""
        answer = self._request("PUT", url, content, {})
        if answer.status >= _FAILED:
            raise CommandError(Exit.SERVER, f"the upload was refused with HTTP {answer.status}")

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        sent = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent.update(headers or {})
        answer = self._request(method, self.url.rstrip("/") + path, body, sent)
        if answer.status >= _FAILED:
            raise _refusal(answer.status, answer.data)
        try:
            return json.loads(answer.data)
        except ValueError:
            raise CommandError(
                Exit.SERVER, f"{self.url} does not answer in JSON: is it a Strøm server?"
            ) from None

    def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self.pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT)
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise CommandError(
                Exit.SERVER,
                f"{self.url} does not answer ({type(reason).__name__}): "
                "is it running? Start one with `./dev up`, or name another with --server",
            ) from None


def connect(url: str, token: str | None) -> Client:
    """Return a client; nothing is sent yet.

    Raises:
        CommandError: the address is none.
    """
    if not url.startswith(("http://", "https://")):
        raise CommandError(Exit.USAGE, f"--server {url!r} must begin with http:// or https://")
    return Client(url, token, urllib3.PoolManager(retries=False))


def _refusal(status: int, body: bytes) -> CommandError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    text = str(problem.get("error") or problem.get("detail") or f"the server says HTTP {status}")
    for item in problem.get("errors") or []:
        place = item.get("pointer") or ""
        if item.get("file"):
            place = f"{item['file']}:{item.get('line')}:{item.get('column')}"
        text += f"\n  {place}: {item.get('message')}" + (
            f" ({item['fix']})" if item.get("fix") else ""
        )
    return CommandError(exit_of_http(status), text)
