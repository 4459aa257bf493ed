"""Follow a job by asking the REST API again and again, where live updates are not to be had.

One rule: each step's log is asked for by itself while the job runs, because lines of one step only
grow at the end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.client.dialogue import NOT_OURS, Dialogue, looked, not_ours
from chalicelib.client.events import AttemptChanged, CaughtUp, Event, Line
from chalicelib.client.following import Following
from chalicelib.client.machine import Machine, Patience
from chalicelib.client.rest import FollowTimeoutError, Rest, ServerError, path_of
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.logs import SERVER_STEP

_HAS_LINES = frozenset({StepStatus.RUNNING, StepStatus.SUSPENDED})
# So many logs of instances are asked for one by one.
_MOST_APART = 50


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
    _heard: float = 0.0

    def looked(self, dialogue: Dialogue) -> Iterator[Event]:
        """Ask how things are, again while nobody answers; yield what the dialogue tells.

        Raises:
            ServerError: there is no such thing, or the server is gone for good.
            FollowTimeoutError: it is too late.
        """
        self._heard, pause_s = self.machine.now(), self.patience.poll_s
        while True:
            try:
                yield from looked(self.rest, dialogue, self.machine.now)
            except ServerError as error:
                self._check_patience(error)
            else:
                return
            self._check_time()
            self.machine.sleep(pause_s)
            pause_s = min(pause_s * 1.3, self.patience.slowest_poll_s)

    def list(self, watching: Dialogue) -> Iterator[Event]:
        """Yield what changes in a list, without end. Raises ServerError: it is gone for good."""
        while True:
            self.machine.sleep(self.patience.slowest_poll_s)
            yield from self.looked(watching)

    def job(self, following: Following) -> Iterator[Event]:
        """Yield what happens to a job until it has ended, from where it was left.

        Raises:
            ServerError: there is no such job, or the server is gone for good.
            FollowTimeoutError: it is too late.
        """
        self._given = following.attempts.given()
        self._heard, pause_s = self.machine.now(), self.patience.poll_s
        while True:
            has_lines = False
            try:
                for event in self._round(following):
                    has_lines = has_lines or isinstance(event, Line)
                    yield event
                self._heard = self.machine.now()
            except ServerError as error:
                self._check_patience(error)
            else:
                if following.has_ended:
                    yield following.told()
                    return
            self._check_time()
            slower_s = min(pause_s * 1.3, self.patience.slowest_poll_s)
            pause_s = self.patience.poll_s if has_lines else slower_s
            self.machine.sleep(pause_s)

    def _round(self, following: Following) -> Iterator[Event]:
        if not following.has_ended:
            yield from looked(self.rest, following, self.machine.now)
        if self.with_lines:
            yield from self._lines(following)
        if not following.has_caught_up:
            following.has_caught_up = True
            yield CaughtUp()

    def _lines(self, following: Following) -> Iterator[Event]:
        if self.step is not None and self.step not in _names(following):
            # The server names 500 instances of loops at most, and never `_server`.
            yield from self._of_step(following.job_id, self.step, ())
        elif self.step is None and following.has_ended and _instances(following) > _MOST_APART:
            yield from self._whole(following)
        else:
            yield from self._each(following)

    def _each(self, following: Following) -> Iterator[Event]:
        for step in following.steps:
            name, status = step["step_name"], StepStatus(step["status"])
            if name in self._done or self.step not in (None, name):
                continue
            history = step.get("retry_history") or ()
            # What failed and waits for its next attempt has lines, too.
            if status in _HAS_LINES or status.is_terminal or history:
                yield from self._of_step(following.job_id, name, _ends(history))
                # A round of many steps is long.
                self._heard = self.machine.now()
            if status.is_terminal:
                self._done.add(name)

    def _whole(self, following: Following) -> Iterator[Event]:
        """Yield what was not given of an ended job, by one log instead of one of each step."""
        ends = {s["step_name"]: _ends(s.get("retry_history") or ()) for s in following.steps}
        seen: Counter[str] = Counter()
        path = path_of("api", "jobs", following.job_id, "logs")
        for text, _ in new_lines(self.rest, path, 0):
            self._heard = self.machine.now()
            row = json.loads(text)
            name = row["step"]
            seen[name] += 1
            if name != SERVER_STEP and seen[name] > self._given.get(name, 0):
                yield from self._line(name, ends.get(name, ()), row, seen[name])

    def _of_step(self, job_id: str, name: str, ends: Sequence[datetime]) -> Iterator[Event]:
        path = path_of("api", "jobs", job_id, "steps", name, "logs")
        for text, number in new_lines(self.rest, path, self._given.get(name, 0)):
            yield from self._line(name, ends, json.loads(text), number)

    def _line(
        self, name: str, ends: Sequence[datetime], row: Mapping[str, str], number: int
    ) -> Iterator[Event]:
        # The log of a step is one; only the time tells where an attempt of it begins.
        found = 1 + sum(end < datetime.fromisoformat(row["ts"]) for end in ends)
        # A worker's clock may be behind ours: nothing goes back to an earlier attempt.
        attempt = max(found, self._shown.get(name, 1))
        if attempt != self._shown.get(name, 1):
            yield AttemptChanged(name, attempt)
        self._shown[name], self._given[name] = attempt, number
        yield Line.of(name, attempt, number, row)

    def _check_time(self) -> None:
        if self.until is not None and self.machine.now() > self.until:
            raise FollowTimeoutError

    def _check_patience(self, error: ServerError) -> None:
        if not error.is_passing or self.machine.now() - self._heard > self.patience.silence_s:
            raise error


def _names(following: Following) -> set[str]:
    return {step["step_name"] for step in following.steps}


def _instances(following: Following) -> int:
    return sum((step.get("loop") or {}).get("total", 0) for step in following.steps)


def _ends(history: Iterable[Mapping[str, str]]) -> list[datetime]:
    return [datetime.fromisoformat(past["failed_at"]) for past in history]


def new_lines(rest: Rest, path: str, after: int) -> Iterator[tuple[str, int]]:
    """Yield the JSON lines of a log behind the first `after`, each with how many there are then.

    The server gives a long log in parts; all of them are asked for.
    """
    while True:
        try:
            text = rest.get(path, {"after": after})["logs"]
            lines = [line for line in text.split("\n") if line]
        except NOT_OURS as error:
            raise not_ours(path) from error
        if not lines:
            return
        for number, line in enumerate(lines, after + 1):
            yield line, number
        after += len(lines)
