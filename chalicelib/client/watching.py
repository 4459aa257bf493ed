"""The jobs of a workspace that are watched: each as the list shows it, whenever it changes.

One rule: what the server could not send is read from the list; nobody misses how a job stands now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.client.attempts import ANSWER_S
from chalicelib.client.dialogue import Ended, Fetch, Message, check_refusal
from chalicelib.client.events import CaughtUp, Event, JobChanged
from chalicelib.client.heart import Heart
from chalicelib.domain.lifecycle import JobStatus

_LOOK_S = 60.0
_MOST_KNOWN = 1000


@dataclass(slots=True)
class Watching:
    """What is known of the newest jobs of a workspace. It is never over."""

    workspace: str
    limit: int = 20
    outbox: deque[dict[str, Any]] = field(default_factory=deque)
    fetches: deque[Fetch] = field(default_factory=deque)
    wants_look: bool = True
    is_over: bool = False
    _heart: Heart = field(default_factory=Heart)
    _rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _asked_at: float | None = None
    _looked_at: float = 0.0
    _has_caught_up: bool = False

    @property
    def path(self) -> str:
        """Return where the REST API lists jobs."""
        return "/api/jobs"

    @property
    def query(self) -> Mapping[str, object]:
        """Return what to list."""
        return {"workspace": self.workspace, "limit": self.limit}

    def opened(self, now: float) -> None:
        """Subscribe."""
        self.outbox.clear()
        self._heart.opened(now)
        self._subscribe(now)

    def take(self, message: Message, now: float) -> Iterator[Event]:
        """Take a message of the server; yield what is to be told. Raises Ended, ServerError."""
        self._heart.heard(now)
        match message.get("type"):
            case "job":
                yield from self._changed(message["job"])
            case "subscribed":
                self._asked_at, self.wants_look = None, True
            case "resync":
                self.wants_look = True
            case "closing":
                raise Ended(message["code"], message["message"])
            case "error" if self._asked_at is not None:
                check_refusal(message)
                self._asked_at = now

    def looked(self, found: Any, now: float) -> Iterator[Event]:  # noqa: ANN401 - JSON
        """Take the list; oldest jobs are told first."""
        self.wants_look, self._looked_at = False, now
        for row in reversed(found["items"]):
            yield from self._changed(row)
        if not self._has_caught_up:
            self._has_caught_up = True
            yield CaughtUp()

    def fetched(self, fetch: Fetch, rows: list[dict[str, str]], now: float) -> Iterator[Event]:
        """Take nothing: a list has no lines."""
        del fetch, rows, now
        yield from ()

    def tick(self, now: float) -> None:
        """Ask whether the server is there, and now and then for the list."""
        if self._asked_at is not None and now - self._asked_at > ANSWER_S:
            self._subscribe(now)
        if now - self._looked_at > _LOOK_S:
            self.wants_look = True
        if self._heart.is_due(now, now):
            self.outbox.append({"action": "ping", "id": "ping"})

    def wait_s(self) -> float:
        """Return how long at most to wait for a message before the next `tick`."""
        return 1.0

    def is_dead(self, now: float) -> bool:
        """Say whether the server has fallen silent."""
        return self._heart.is_dead(now)

    def _subscribe(self, now: float) -> None:
        self._asked_at = now
        topic = {"workspace": self.workspace}
        self.outbox.append({"action": "subscribe", "id": "jobs", "topic": topic, "have": []})

    def _changed(self, row: Mapping[str, Any]) -> Iterator[Event]:
        job_id = row["job_id"]
        known = self._rows.get(job_id, {})
        merged = {**known, **row}
        # The list may be behind what was pushed; a job that has ended stays so.
        is_behind = _has_ended(known) and not _has_ended(merged)
        if merged == known or is_behind:
            return
        self._rows[job_id] = merged
        if len(self._rows) > _MOST_KNOWN:
            del self._rows[next(iter(self._rows))]
        yield JobChanged(job_id, merged["status"], merged)


def _has_ended(row: Mapping[str, Any]) -> bool:
    return bool(row) and JobStatus(row["status"]).is_terminal
