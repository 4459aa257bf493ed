"""A job that is followed: its log to the last line, its status and that of its steps.

One rule: it is over only when the job has ended, a subscription that was made after that has sent
what was there, and every attempt is told to its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.client.attempts import ANSWER_S, Attempts
from chalicelib.client.dialogue import Ended, Fetch, Message, check_refusal
from chalicelib.client.events import CaughtUp, Event, JobChanged, StepChanged
from chalicelib.client.heart import PING_S, Heart
from chalicelib.client.rest import path_of
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import instance_name

_LOOK_S = 10.0
_SLOWEST_LOOK_S = 60.0


@dataclass(slots=True)
class Following:
    """What is known of the job, and the talk about it on the connection that is open.

    `is_whole`: it is over, and all of it was told. What is over and is not whole has loops of
    more instances than were heard of: the rest of its log only the REST API tells.
    """

    job_id: str
    attempts: Attempts = field(default_factory=Attempts)
    job: dict[str, Any] = field(default_factory=dict)
    outbox: deque[dict[str, Any]] = field(default_factory=deque)
    fetches: deque[Fetch] = field(default_factory=deque)
    wants_look: bool = True
    is_over: bool = False
    is_whole: bool = False
    has_caught_up: bool = False
    _heart: Heart = field(default_factory=Heart)
    _steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    _told: dict[str, Any] = field(default_factory=dict)
    _subscribe_id: str | None = None
    _answers: set[str] = field(default_factory=set)
    _asked_at: float = 0.0
    _has_subscribed_after_end: bool = False
    _looked_at: float = 0.0
    _look_s: float = _LOOK_S
    _has_more: bool = False
    _ids: int = 0

    @property
    def path(self) -> str:
        """Return where the REST API shows the job."""
        return path_of("api", "jobs", self.job_id)

    @property
    def query(self) -> Mapping[str, object]:
        """Return no query."""
        return {}

    @property
    def has_ended(self) -> bool:
        """Say whether the REST API has shown the job as ended."""
        return bool(self.job) and JobStatus(self.job["status"]).is_terminal

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Return the steps as far as they are known."""
        return list(self._steps.values())

    def told(self) -> JobChanged:
        """Return the job as it is known."""
        self._told = {**self.job, "steps": self.steps}
        return JobChanged(self.job_id, self.job["status"], self._told)

    def _news(self) -> Iterator[Event]:
        if {**self.job, "steps": self.steps} != self._told:
            yield self.told()

    def opened(self, now: float) -> None:
        """Subscribe, from what is had already."""
        self.outbox.clear()
        self.fetches.clear()
        self.attempts.reopened()
        self._heart.opened(now)
        self._subscribe(now)

    def take(self, message: Message, now: float) -> Iterator[Event]:
        """Take a message of the server; yield what is to be told. Raises Ended, ServerError."""
        self._heart.heard(now)
        yield from self._taken(message, now)
        yield from self._finish()

    def _taken(self, message: Message, now: float) -> Iterator[Event]:
        match message.get("type"):
            case "lines":
                step, attempt = message["step"], message["attempt"]
                rows = message["lines"]
                yield from self.attempts.lines(step, attempt, message["first"], rows, now)
            case "chunks":
                self._asked_at = now
                for fetch in map(Fetch.of, message["chunks"]):
                    self.fetches.append(fetch)
                    for step, attempt, _, last in fetch.spans:
                        yield from self.attempts.head(step, attempt, last, now)
            case "head" | "end" as kind:
                head, has_ended = message[kind], kind == "end"
                yield from self.attempts.head(
                    message["step"], message["attempt"], head, now, has_ended=has_ended
                )
            case "job":
                yield from self._changed(message["job"], message["steps"])
            case "closing":
                raise Ended(message["code"], message["message"])
            case _:
                yield from self._answer(message, now)

    def looked(self, found: Any, now: float) -> Iterator[Event]:  # noqa: ANN401 - JSON
        """Take the job as the REST API shows it."""
        self.wants_look, self._looked_at = False, now
        self.job = {key: value for key, value in found.items() if key != "steps"}
        yield from self._know(found["steps"])
        if self._has_more:
            self._begin_all(now)
        if not self.has_ended:
            yield from self._news()
        yield from self._finish()

    def fetched(self, fetch: Fetch, rows: list[dict[str, str]], now: float) -> Iterator[Event]:
        """Take lines that were fetched."""
        self._asked_at = now
        at = 0
        for step, attempt, first, last in fetch.spans:
            part = rows[at : at + last - first + 1]
            at += len(part)
            yield from self.attempts.lines(step, attempt, first, part, now)
        yield from self._finish()

    def tick(self, now: float) -> None:
        """Ask for what is missing, and whether the server is there."""
        if self._subscribe_id is not None:
            if now - self._asked_at > ANSWER_S:
                self._subscribe(now)
        elif self.has_ended and not self._has_subscribed_after_end:
            self._subscribe(now)
        else:
            self._ask(now)
        quiet_since = self.attempts.quiet_since()
        if quiet_since is None:
            # Nothing runs: what may have been missed is a change of the job, and that is rare.
            quiet_since = self._heart.heard_at + self._look_s - PING_S
        if self._heart.is_due(now, quiet_since):
            self.outbox.append({"action": "ping", "id": "ping"})

    def wait_s(self) -> float:
        """Return how long at most to wait for a message before the next `tick`."""
        return 0.05 if self.has_ended or self.attempts.lacks_any() else 1.0

    def is_dead(self, now: float) -> bool:
        """Say whether the server has fallen silent."""
        return self._heart.is_dead(now)

    def _ask(self, now: float) -> None:
        for one in self.attempts.wanted(now, is_ending=self._has_subscribed_after_end):
            topic = {"job_id": self.job_id, "step": one.step, "attempt": one.attempt}
            sent = {"action": "range", "id": one.id, "topic": topic, "first": one.first}
            self.outbox.append(sent if one.last is None else sent | {"last": one.last})

    def _subscribe(self, now: float) -> None:
        self._ids += 1
        self._subscribe_id, self._asked_at = f"job-{self._ids}", now
        self._has_subscribed_after_end = self.has_ended
        self._answers.clear()
        self.outbox.append(
            {
                "action": "subscribe",
                "id": self._subscribe_id,
                "topic": {"job_id": self.job_id},
                "have": self.attempts.have(),
            }
        )

    def _answer(self, message: Message, now: float) -> Iterator[Event]:
        message_id = str(message.get("id"))
        match message.get("type"):
            case "subscribed":
                self._has_more, self._asked_at = message["more"], now
                self.wants_look = True
                yield from self._heads(message["heads"], now)
                self._subscription_answered(message_id, "subscribed")
            case "resync" if message["topic"].get("job_id") == self.job_id:
                self.wants_look = True
                yield from self._heads(message["heads"], now)
            case "pong":
                heads = [one[1:] for one in message["heads"] if one[0] == self.job_id]
                yield from self._heads(heads, now)
                self._doubt(heads, now)
            case "caught_up":
                yield from self._caught_up(message_id)
            case "error":
                yield from self._refused(message_id, message, now)

    def _caught_up(self, message_id: str) -> Iterator[Event]:
        if message_id != self._subscribe_id:
            yield from self.attempts.answered(message_id)
        else:
            self._subscription_answered(message_id, "caught_up")

    def _subscription_answered(self, message_id: str, kind: str) -> None:
        """Take notice of one of two answers; who lacks one may not have heard of an attempt."""
        if message_id == self._subscribe_id:
            self._answers.add(kind)
            if len(self._answers) == 2:  # noqa: PLR2004 - both
                self._subscribe_id = None

    def _refused(self, message_id: str, message: Message, now: float) -> Iterator[Event]:
        if message_id == self._subscribe_id:
            check_refusal(message)
            self._asked_at = now
        elif message["code"] == "not_found":
            yield from self.attempts.answered(message_id, is_refused=True)
        else:
            self.attempts.failed(message_id, now)

    def _heads(self, heads: Sequence[Sequence[Any]], now: float) -> Iterator[Event]:
        for step, attempt, head, has_ended in heads:
            yield from self.attempts.head(step, attempt, head, now, has_ended=has_ended)

    def _doubt(self, heads: Sequence[Sequence[Any]], now: float) -> None:
        """Look whether the job has ended, where nothing of it runs; less often each time."""
        if any(not has_ended for *_, has_ended in heads):
            self._look_s = _LOOK_S
        elif now - self._looked_at >= self._look_s:
            self._look_s = min(self._look_s * 1.5, _SLOWEST_LOOK_S)
            self.wants_look = True

    def _changed(self, job: Mapping[str, Any], steps: Sequence[dict[str, Any]]) -> Iterator[Event]:
        if job["job_id"] != self.job_id or self.has_ended:
            return
        yield from self._know(steps)
        is_suspended = any(step["status"] == StepStatus.SUSPENDED for step in steps)
        has_ended = JobStatus(job["status"]).is_terminal
        # What a person is asked, and how the job ended in full, only the REST API tells.
        self.wants_look = self.wants_look or is_suspended or has_ended
        if not has_ended:
            self.job |= job
            yield from self._news()

    def _know(self, steps: Sequence[dict[str, Any]]) -> Iterator[Event]:
        for step in steps:
            name = step["step_name"]
            before = self._steps.get(name)
            row = self._steps[name] = {**(before or {}), **step}
            if before is not None and before["status"] != row["status"]:
                yield StepChanged(name, row["status"], row)

    def _begin_all(self, now: float) -> None:
        """Take notice of the attempts that the server had no room to name."""
        for name, step in self._steps.items():
            if step.get("worker_id") is not None:
                self.attempts.begun(name, step["retry_attempt"] + 1, now, is_unsure=True)

    def _finish(self) -> Iterator[Event]:
        if not self._ids or self._subscribe_id is not None or self.is_over:
            return
        is_unsure = self._has_more and (self.wants_look or self.attempts.are_unsure)
        if not (self.has_caught_up or is_unsure or self.fetches):
            self.has_caught_up = True
            yield CaughtUp()
        if self.has_ended and self._has_more and not self._has_heard_of_all():
            self.is_over = True
        elif self._has_subscribed_after_end and not self.fetches and self.attempts.are_settled:
            self.is_over = self.is_whole = True
            yield self.told()

    def _has_heard_of_all(self) -> bool:
        """Say whether each instance of each loop was heard of; the server names 200 attempts."""
        return all(
            self.attempts.has_begun(instance_name(name, index))
            for name, step in self._steps.items()
            for index in range((step.get("loop") or {}).get("total", 0))
        )
