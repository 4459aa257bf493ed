"""Follow a job by asking the REST API again and again, where live updates are not to be had.

One rule: each step's log is asked for by itself, because lines of one step only grow at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.client.dialogue import Dialogue
from chalicelib.client.events import AttemptChanged, CaughtUp, Event, Line
from chalicelib.client.following import Following
from chalicelib.client.machine import Machine, Patience
from chalicelib.client.rest import FollowTimeoutError, Rest, ServerError, path_of
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.logs import SERVER_STEP

_HAS_LINES = frozenset({StepStatus.RUNNING, StepStatus.SUSPENDED})


@dataclass(slots=True)
class Polling:
    """Asks a server, again after a pause that grows while nothing comes.

    `until`: when to give up, by the machine's clock. Of `step` None all steps are told, without
    `with_lines` none.
    """

    rest: Rest
    machine: Machine
    patience: Patience
    until: float | None = None
    step: str | None = None
    with_lines: bool = True
    _given: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _shown: dict[str, int] = field(default_factory=dict)

    def looked(self, dialogue: Dialogue) -> Iterator[Event]:
        """Ask how things are; yield what the dialogue tells. Raises ServerError."""
        found = self.rest.get(dialogue.path, dialogue.query)
        yield from dialogue.looked(found, self.machine.now())

    def list(self, watching: Dialogue) -> Iterator[Event]:
        """Yield what changes in a list, without end. Raises ServerError: it is gone for good."""
        heard = self.machine.now()
        while True:
            self.machine.sleep(self.patience.slowest_poll_s)
            try:
                yield from self.looked(watching)
                heard = self.machine.now()
            except ServerError as error:
                self._check_patience(error, heard)

    def job(self, following: Following) -> Iterator[Event]:
        """Yield what happens to a job until it has ended, from where it was left.

        Raises:
            ServerError: there is no such job, or the server is gone for good.
            FollowTimeoutError: it is too late.
        """
        self._given = following.attempts.given()
        heard, pause_s = self.machine.now(), self.patience.poll_s
        while True:
            has_lines = False
            try:
                for event in self._round(following):
                    has_lines = has_lines or isinstance(event, Line)
                    yield event
                heard = self.machine.now()
            except ServerError as error:
                self._check_patience(error, heard)
            else:
                if following.has_ended:
                    yield following.told()
                    return
            if self.until is not None and self.machine.now() > self.until:
                raise FollowTimeoutError
            slower_s = min(pause_s * 1.3, self.patience.slowest_poll_s)
            pause_s = self.patience.poll_s if has_lines else slower_s
            self.machine.sleep(pause_s)

    def _round(self, following: Following) -> Iterator[Event]:
        if not following.has_ended:
            yield from self.looked(following)
        if self.with_lines:
            yield from self._lines(following)
        if not following.has_caught_up:
            following.has_caught_up = True
            yield CaughtUp()

    def _lines(self, following: Following) -> Iterator[Event]:
        if self.step == SERVER_STEP:
            yield from self._of_step(following.job_id, SERVER_STEP, ())
            return
        for step in following.steps:
            name, status = step["step_name"], StepStatus(step["status"])
            if name in self._done or self.step not in (None, name):
                continue
            if status in _HAS_LINES or status.is_terminal:
                yield from self._of_step(following.job_id, name, step.get("retry_history") or ())
            if status.is_terminal:
                self._done.add(name)

    def _of_step(
        self, job_id: str, name: str, history: Iterable[Mapping[str, str]]
    ) -> Iterator[Event]:
        path = path_of("api", "jobs", job_id, "steps", name, "logs")
        # The log of a step is one; only the time tells where an attempt of it begins.
        ends = [datetime.fromisoformat(past["failed_at"]) for past in history]
        for text, number in new_lines(self.rest, path, self._given.get(name, 0)):
            row = json.loads(text)
            attempt = 1 + sum(end < datetime.fromisoformat(row["ts"]) for end in ends)
            if attempt != self._shown.get(name, 1):
                yield AttemptChanged(name, attempt)
            self._shown[name] = attempt
            self._given[name] = number
            yield Line.of(name, attempt, number, row)

    def _check_patience(self, error: ServerError, heard: float) -> None:
        if not error.is_passing or self.machine.now() - heard > self.patience.silence_s:
            raise error


def new_lines(rest: Rest, path: str, after: int) -> Iterator[tuple[str, int]]:
    """Yield the JSON lines of a log behind the first `after`, each with how many there are then.

    The server gives a long log in parts; all of them are asked for.
    """
    while True:
        text = rest.get(path, {"after": after})["logs"]
        lines = [line for line in text.split("\n") if line]
        if not lines:
            return
        for number, line in enumerate(lines, after + 1):
            yield line, number
        after += len(lines)
