"""Control through the `/worker` API: for a worker that only has a token.

The one rule: what may be repeated is repeated here at once (reports, logs, heartbeats, files);
asking for work is not, since its lost answer may have been a claim.
Source: HTTP API, section 4.3.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urljoin

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
from chalicelib.domain.logs import LogLine, stamp
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import HEARTBEAT_S
from chalicelib.engine.steps import Assignment, Hold, Outcome
from chalicelib.engine.workers import Hello
from workers.assignments import read_assignment, read_hold
from workers.control import Offer, Orders, Session

_log = logging.getLogger(__name__)

# A worker that stops must wait for its last question's answer: it may be a claim.
MAX_WAIT_S = 10.0
DIGEST_HEADER = "X-Content-SHA256"
_READ_S = 30.0
_CONNECT_S = 5.0
_AGAIN = urllib3.Retry(
    total=3,
    redirect=0,
    allowed_methods=None,
    status_forcelist=(500, 502, 503, 504),
    backoff_factor=0.1,
    backoff_jitter=0.1,
    raise_on_status=False,
    respect_retry_after_header=False,
)
_ONCE = urllib3.Retry(total=2, connect=2, read=0, redirect=0, status=0, other=0)
_ERRORS: dict[int, type[StroemError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: FencedError,
    413: TooLargeError,
    422: InvalidError,
}


class HttpControl:
    """A client of one server. `connections` is how many may be open at once and kept."""

    offers_are_claims = True

    def __init__(self, url: str, token: str | None, connections: int) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = urllib3.PoolManager(
            maxsize=connections, timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        )
        self._session = ""
        self._hello = Hello(name="", capabilities=())
        self._empty = 0
        self._left = threading.Event()

    def register(self, hello: Hello) -> Session:
        body = {
            "name": hello.name,
            "capabilities": hello.capabilities,
            "tags": hello.tags,
            "exclusive": hello.exclusive,
            "version": hello.version,
        }
        answer = self._post("/worker/register", body, _ONCE)
        self._session, self._hello = str(answer["worker_id"]), hello
        return Session(self._session, float(answer.get("heartbeat_s") or HEARTBEAT_S))

    def heartbeat(self, running: Sequence[StepRef]) -> Orders:
        steps = [{"job_id": ref.job_id, "step_name": ref.step} for ref in running]
        answer = self._post("/worker/heartbeat", {"worker_id": self._session, "running": steps})
        cancelled = answer.get("cancelled") or ()
        refs = tuple(StepRef(str(one["job_id"]), str(one["step_name"])) for one in cancelled)
        return Orders(refs, bool(answer.get("drain")))

    def offers(self, pool: str, wait_s: float, limit: int) -> Sequence[Offer]:  # noqa: ARG002 - the API gives one at a time
        asked = min(wait_s, MAX_WAIT_S)
        body = {
            "worker_id": self._session,
            "capabilities": [pool],
            "tags": self._hello.tags,
            "exclusive": self._hello.exclusive,
            "wait_s": asked,
        }
        began = time.monotonic()
        try:
            answer = self._post("/worker/jobs/claim", body, _ONCE)
        except TemplateError as error:
            _log.warning(
                "A step failed before it began: its templates do not render",
                extra={"error": error.message},
            )
            return ()
        if answer.get("job_id") is None:
            self._slow_down(asked, time.monotonic() - began)
            return ()
        self._empty = 0
        return [partial(self._take, answer)]

    def _slow_down(self, asked_s: float, waited_s: float) -> None:
        """Pause where the server does not hold the question, so that it is not asked in a rush."""
        if waited_s >= asked_s / 2:
            self._empty = 0
            return
        self._left.wait(min(0.05 * 2**self._empty, asked_s, 2.0))
        self._empty = min(self._empty + 1, 6)

    def _take(self, answer: dict[str, Any]) -> Assignment | None:
        try:
            return read_assignment(answer)
        except InvalidError as error:
            _log.warning("A claimed step cannot be understood", extra={"error": error.message})
            self.complete(read_hold(answer), Outcome(error=error.message))
            return None

    def append(self, hold: Hold, first: int, lines: Sequence[LogLine]) -> None:
        body = {
            "step_name": hold.ref.step,
            "attempt": hold.attempt,
            "lease": hold.lease,
            "first": first,
            "lines": [
                {"ts": stamp(line.ts), "stream": line.stream, "line": line.line} for line in lines
            ],
        }
        self._post(f"/worker/jobs/{quote(hold.ref.job_id)}/logs", body)

    def complete(self, hold: Hold, outcome: Outcome, *, go_on: bool = False) -> None:  # noqa: ARG002 - the API gives work to those who ask
        body = {
            "output": outcome.output,
            "error": outcome.error,
            "cancelled": outcome.cancelled,
            "attempt": hold.attempt,
            "lease": hold.lease,
            "worker_id": self._session,
        }
        job, step = quote(hold.ref.job_id), quote(hold.ref.step, safe="")
        self._post(f"/worker/jobs/{job}/steps/{step}/complete", body)

    def archive(self, workspace: str, revision: str) -> bytes:
        path = f"/worker/workspace/{quote(workspace)}.tar.gz?revision={quote(revision)}"
        answer = self._request("GET", self._url + path, headers=self._headers)
        digest = answer.headers.get(DIGEST_HEADER)
        if answer.status in (302, 303, 307, 308):
            # The token is for the API, not for the place that it points at.
            where = urljoin(self._url, answer.headers["Location"])
            answer = self._request("GET", where, headers={})
        _check(answer)
        if digest is not None and hashlib.sha256(answer.data).hexdigest() != digest:
            raise UnavailableError(
                f"The files of workspace {workspace} at revision {revision} arrived damaged: "
                f"their digest is not {digest}. Publish the workspace again if trying again "
                "does not help."
            )
        return answer.data

    def sign_off(self) -> None:
        self._left.set()
        self._post("/worker/sign-off", {"worker_id": self._session})

    def _post(
        self, path: str, body: dict[str, Any], retries: urllib3.Retry = _AGAIN
    ) -> dict[str, Any]:
        headers = {**self._headers, "Content-Type": "application/json"}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        answer = self._request(
            "POST", self._url + path, body=content, headers=headers, retries=retries
        )
        _check(answer)
        try:
            parsed = json.loads(answer.data)
        except ValueError as error:
            raise UnavailableError(f"{self._url}{path} answered with no JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise UnavailableError(f"{self._url}{path} answered with no JSON object")
        return parsed

    def _request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        body: bytes | None = None,
        retries: urllib3.Retry = _AGAIN,
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request(
                method, url, body=body, headers=headers, retries=retries, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"{self._url} does not answer: {error}") from error


def _check(answer: urllib3.BaseHTTPResponse) -> None:
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
