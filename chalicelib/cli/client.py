"""Talk to a server: JSON in, JSON out, and errors that say what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from chalicelib.cli.credentials import Credential, Kept
from chalicelib.cli.exits import CommandError, Exit, exit_of_http

JsonObject: TypeAlias = "dict[str, Any]"

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_FAILED = 400
_UNKNOWN = 401
_ACCESS_S = 15 * 60
_COOKIE = "stroem_refresh"


def path_of(*parts: str) -> str:
    """Return an address path; each part is escaped."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True, slots=True)
class Client:
    """One server, with the token to use there; without one, what `stroem login` has kept."""

    url: str
    token: str | None
    pool: urllib3.PoolManager
    kept: Kept | None = None

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer's JSON. Query members that are None are left out."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        return self._send("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a JSON body and return the answer's JSON."""
        return self._send("POST", path, json.dumps(body or {}).encode(), headers)

    def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Send a JSON body to be put in place of what is there."""
        return self._send("PUT", path, json.dumps(body).encode())

    def delete(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Remove what is there."""
        return self._send("DELETE", path)

    def put_to(self, url: str, content: bytes) -> None:
        """Send bytes to a presigned address, without our token."""
        answer = self._request("PUT", url, content, {})
        if answer.status >= _FAILED:
            raise CommandError(Exit.SERVER, f"the upload was refused with HTTP {answer.status}")

    def log_in(self, path: str, body: object, *, is_known: bool = False) -> Credential:
        """Send a body that lets us in and return what came back.

        Our own token is shown only with `is_known`. Raises CommandError.
        """
        found = self.ask(path, body, is_known=is_known)
        if isinstance(found, Credential):
            return found
        text = str(found.get("detail") or found.get("error_description") or found.get("error"))
        raise CommandError(Exit.USAGE, text)

    def ask(self, path: str, body: object, *, is_known: bool = False) -> Credential | JsonObject:
        """As `log_in`, but return the answer of a server that says 400: not now."""
        url = self.url.rstrip("/") + path
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        headers |= self._shown() if is_known else {}
        answer = self._request("POST", url, json.dumps(body).encode(), headers)
        found = _parsed(answer.data)
        if answer.status > _FAILED or not found:
            raise _refusal(url, answer.status, answer.data)
        if answer.status == _FAILED:
            return found
        return Credential(
            found["access_token"],
            found.get("refresh_token") or _cookie(answer.headers.get("Set-Cookie", "")),
            _now() + float(found.get("expires_in") or _ACCESS_S),
        )

    def exchange(self, refresh_token: str) -> Credential:
        """Return what follows a refresh token. Raises CommandError: nothing does."""
        return self.log_in("/api/auth/refresh", {"refresh_token": refresh_token})

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        sent = {"Accept": "application/json", "Content-Type": "application/json"}
        sent.update(headers or {})
        url = self.url.rstrip("/") + path
        answer = self._request(method, url, body, sent | self._shown())
        if answer.status == _UNKNOWN and self.kept is not None and self.kept.renew():
            answer = self._request(method, url, body, sent | self._shown())
        if answer.status >= _FAILED:
            raise _refusal(url, answer.status, answer.data)
        try:
            return json.loads(answer.data)
        except ValueError:
            raise CommandError(
                Exit.SERVER, f"{_origin(url)} does not answer in JSON: is it a Strøm server?"
            ) from None

    def _shown(self) -> dict[str, str]:
        token = self.kept.token() if self.kept is not None else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self.pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT)
        except urllib3.exceptions.HTTPError as error:
            raise CommandError(
                Exit.SERVER,
                f"{_origin(url)} does not answer ({_reason(error)}): "
                "is it running? Start one with `./dev up`, or name another with --server",
            ) from None


def connect(url: str, token: str | None) -> Client:
    """Return a client; nothing is sent yet.

    Raises:
        CommandError: the address is none.
    """
    if not url.startswith(("http://", "https://")):
        raise CommandError(Exit.USAGE, f"--server {url!r} must begin with http:// or https://")
    bare = Client(url, token, urllib3.PoolManager(retries=False))
    if token is not None:
        return bare
    return replace(bare, kept=Kept(url, bare.exchange, _now))


def _now() -> float:
    return time.time_ns() / 1e9


def _parsed(content: bytes) -> JsonObject:
    """Return a JSON object; an empty one for anything else."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cookie(text: str) -> str | None:
    name, _, value = text.partition(";")[0].partition("=")
    return value or None if name.strip() == _COOKIE else None


def _refusal(url: str, status: int, body: bytes) -> CommandError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or not (problem.get("error") or problem.get("detail")):
        text = f"{_origin(url)} says HTTP {status} and not why: is it a Strøm server?"
        return CommandError(exit_of_http(status), text)
    text = str(problem.get("error") or problem["detail"])
    faults = [item for item in problem.get("errors") or [] if isinstance(item, dict)]
    # A single fault is in the text already.
    if len(faults) > 1:
        text += "".join(f"\n  {_fault(item)}" for item in faults)
    return CommandError(exit_of_http(status), text)


def _fault(item: Mapping[str, Any]) -> str:
    path = f"{item['path']}: " if item.get("path") else ""
    fix = f" ({item['fix']})" if item.get("fix") else ""
    return f"{item.get('pointer') or '/'}: {path}{item.get('message')}{fix}"


def _origin(url: str) -> str:
    """Return the address without path and query: a presigned one must not be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    found = getattr(error, "reason", None) or error
    for cause in (found.__cause__, found.__context__):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(found.args[-1]).rpartition(": ")[2] if found.args else type(found).__name__
