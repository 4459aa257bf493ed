"""Control through the `/worker` API: for a worker that only has a token.

The one rule: what may be repeated is repeated here at once (reports, logs, heartbeats, files);
asking for work is not, since its lost answer may have been a claim.
Source: HTTP API, section 4.3.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urljoin

from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    TemplateError,
    UnavailableError,
)
from chalicelib.domain.event_sources import EventSource
from chalicelib.domain.logs import LogLine, stamp
from chalicelib.domain.values import JsonObject, StepRef
from chalicelib.domain.worker import HEARTBEAT_S
from chalicelib.engine.steps import Assignment, Hold, Outcome
from chalicelib.engine.workers import Hello
from workers.assignments import read_assignment, read_hold
from workers.control import Offer, Orders, Session
from workers.http_client import ONCE, Client, check

_log = logging.getLogger(__name__)

# A worker that stops must wait for its last question's answer: it may be a claim.
MAX_WAIT_S = 10.0
DIGEST_HEADER = "X-Content-SHA256"


class HttpControl:
    """A client of one server. `connections` is how many may be open at once and kept."""

    offers_are_claims = True

    def __init__(self, url: str, token: str | None, connections: int) -> None:
        self._client = Client(url, token, connections)
        self._asks_each_job = False
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
        answer = self._client.enrol("/worker/register", body)
        self._session, self._hello = str(answer["worker_id"]), hello
        heartbeat_s = float(answer.get("heartbeat_s") or HEARTBEAT_S)
        return Session(self._session, heartbeat_s, _pools(answer))

    def heartbeat(self, running: Sequence[StepRef]) -> Orders:
        body = {"worker_id": self._session, "running": _names(running)}
        return _orders(self._client.post("/worker/heartbeat", body))

    def orders(self, running: Sequence[StepRef]) -> Orders:
        if self._asks_each_job:
            return self._ask_each_job(running)
        body = {"worker_id": self._session, "running": _names(running)}
        try:
            return _orders(self._client.post("/worker/orders", body))
        except (NotFoundError, PermissionDeniedError):
            # An older server has no such route; API Gateway then says 403.
            self._asks_each_job = True
            return self._ask_each_job(running)

    def _ask_each_job(self, running: Sequence[StepRef]) -> Orders:
        jobs = dict.fromkeys(ref.job_id for ref in running)
        cancelled = {job_id for job_id in jobs if self._is_cancelled(job_id)}
        return Orders(tuple(ref for ref in running if ref.job_id in cancelled))

    def _is_cancelled(self, job_id: str) -> bool:
        answer = self._client.get_json(f"/worker/jobs/{quote(job_id, safe='')}/cancelled")
        return answer.get("cancelled") is True

    def offers(self, pool: str, wait_s: float, limit: int) -> Sequence[Offer]:  # noqa: ARG002 - the API gives one at a time
        asked, own = min(wait_s, MAX_WAIT_S), self._hello.capabilities
        body = {
            "worker_id": self._session,
            # An older server knows no other pools than capabilities, and ignores `pools`.
            "capabilities": [pool] if pool in own else own,
            "pools": [pool],
            "tags": self._hello.tags,
            "exclusive": self._hello.exclusive,
            "wait_s": asked,
        }
        began = time.monotonic()
        try:
            answer = self._client.post("/worker/jobs/claim", body, ONCE)
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

    def append(
        self, hold: Hold, first: int, lines: Sequence[LogLine], *, live: bool = False
    ) -> None:
        body = {
            "step_name": hold.ref.step,
            "attempt": hold.attempt,
            "lease": hold.lease,
            "first": first,
            "live": live,
            "lines": [
                {"ts": stamp(line.ts), "stream": line.stream, "line": line.line} for line in lines
            ],
        }
        self._client.post(f"/worker/jobs/{quote(hold.ref.job_id, safe='')}/logs", body)

    def complete(self, hold: Hold, outcome: Outcome, *, go_on: bool = False) -> Assignment | None:
        body = {
            "output": outcome.output,
            "error": outcome.error,
            "cancelled": outcome.cancelled,
            "attempt": hold.attempt,
            "lease": hold.lease,
            "worker_id": self._session,
        }
        job, step = quote(hold.ref.job_id, safe=""), quote(hold.ref.step, safe="")
        path = f"/worker/jobs/{job}/steps/{step}/complete"
        if go_on:
            try:
                following = self._client.post(path, {**body, "next": True}, ONCE).get("next")
                return self._take(following) if following else None
            except UnavailableError as error:
                # The lost answer may have been a claim, so only the report itself is repeated.
                _log.warning("A step's end is told again", extra={"error": error.message})
        self._client.post(path, body)
        return None

    def emit(self, hold: Hold, source: EventSource, number: int, event: JsonObject) -> None:
        ref = hold.ref
        body = {
            "workspace": source.workspace,
            "task": source.target_task,
            "source_id": source.source_id,
            "input": event,
            "hold": {
                "job_id": ref.job_id,
                "step_name": ref.step,
                "attempt": hold.attempt,
                "lease": hold.lease,
            },
            "number": number,
        }
        self._client.post("/worker/event-source/emit", body)

    def archive(self, workspace: str, revision: str) -> bytes:
        path = f"/worker/workspace/{quote(workspace)}.tar.gz?revision={quote(revision)}"
        answer = self._client.get(self._client.url + path)
        digest = answer.headers.get(DIGEST_HEADER)
        if answer.status in (302, 303, 307, 308):
            # The token is for the API, not for the place that it points at.
            where = urljoin(self._client.url, answer.headers["Location"])
            answer = self._client.get(where, shows_token=False)
        check(answer)
        if digest is not None and hashlib.sha256(answer.data).hexdigest() != digest:
            raise UnavailableError(
                f"The files of workspace {workspace} at revision {revision} arrived damaged: "
                f"their digest is not {digest}. Publish the workspace again if trying again "
                "does not help."
            )
        return answer.data

    def sign_off(self) -> None:
        self._left.set()
        self._client.post("/worker/sign-off", {"worker_id": self._session})

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _names(refs: Sequence[StepRef]) -> list[dict[str, str]]:
    return [{"job_id": ref.job_id, "step_name": ref.step} for ref in refs]


def _orders(answer: dict[str, Any]) -> Orders:
    return Orders(
        cancelled=_refs(answer.get("cancelled")),
        killed=_refs(answer.get("killed")),
        drain=bool(answer.get("drain")),
        pools=_pools(answer),
        watched=_watched(answer),
    )


def _watched(answer: dict[str, Any]) -> frozenset[str] | None:
    given = answer.get("watched")
    return None if given is None else frozenset(str(job_id) for job_id in given)


def _pools(answer: dict[str, Any]) -> tuple[str, ...] | None:
    given = answer.get("pools")
    return None if given is None else tuple(str(pool) for pool in given)


def _refs(names: Sequence[dict[str, Any]] | None) -> tuple[StepRef, ...]:
    return tuple(StepRef(str(one["job_id"]), str(one["step_name"])) for one in names or ())
