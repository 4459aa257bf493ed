"""Follow a job: print what its steps write as it comes, until the job has ended.

One rule: stdout gets each line once; what is said about the job goes to stderr, each thing once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from chalicelib.cli import output
from chalicelib.cli.choosing import Choice
from chalicelib.cli.client import path_of
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.live import live_client, told_as_command_errors
from chalicelib.cli.output import emit, say
from chalicelib.cli.showing import news_of
from chalicelib.client.events import (
    CaughtUp,
    Event,
    FellBack,
    JobChanged,
    Line,
    Reconnected,
    StepChanged,
)
from chalicelib.client.machine import Patience
from chalicelib.client.polling import new_lines
from chalicelib.client.rest import FollowTimeoutError
from chalicelib.domain.lifecycle import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.cli.client import Client

_SILENCE_S = 30.0
_POLL_S = 0.25


@dataclass(slots=True)
class Follower:
    """Prints each line once; `step` None follows all steps, `is_silent` only waits.

    `out` is stdout unless given; `is_raw` prints lines as the JSON that they come as. A server
    that does not answer is asked again for `silence_s`: the job goes on without us. With
    `is_live` lines come over a WebSocket where there is one. With `only_failed` the log of a step
    is printed when it has failed.
    """

    client: Client
    job_id: str
    step: str | None = None
    out: TextIO | None = None
    is_silent: bool = False
    is_raw: bool = False
    silence_s: float = _SILENCE_S
    poll_s: float = _POLL_S
    is_live: bool = False
    only_failed: bool = False
    choice: Choice = field(default_factory=Choice)
    _told: set[str] = field(default_factory=set)
    _printed: Counter[str] = field(default_factory=Counter)
    _whole: set[str] = field(default_factory=set)
    _attempts: dict[str, int] = field(default_factory=dict)
    _held: list[tuple[str, int, Line]] | None = None
    _lines: int = 0

    def to_end(self, timeout_s: float | None = None) -> Mapping[str, Any]:
        """Print until the job has ended, and return it.

        Raises:
            CommandError: it did not end in time; it goes on. Or: the server is gone for good.
        """
        job: Mapping[str, Any] = {}
        self._held = None if self.choice.tail is None else []
        try:
            with told_as_command_errors():
                for event in self._events(timeout_s):
                    self._show(event)
                    job = event.row if isinstance(event, JobChanged) else job
                self._show_failed(job["steps"], is_last=True)
        except FollowTimeoutError:
            raise CommandError(
                Exit.TIMED_OUT,
                f"job {self.job_id} has not ended after {timeout_s:g}s; it goes on "
                f"(`stroem logs -f {self.job_id}` follows it)",
            ) from None
        return job

    def _events(self, timeout_s: float | None) -> Iterator[Event]:
        patience = Patience(silence_s=self.silence_s, poll_s=self.poll_s)
        live = live_client(self.client, patience)
        if self.is_silent:
            return live.wait(self.job_id, timeout_s=timeout_s)
        return live.follow(
            self.job_id, step=self.step, timeout_s=timeout_s, polls=not self.is_live
        )

    def _show(self, event: Event) -> None:
        match event:
            case Line():
                self._line(event)
            case CaughtUp():
                self._release()
            case StepChanged(status=StepStatus.FAILED):
                self._show_failed([event.row])
            case JobChanged():
                self._tell(event.row)
            case _:
                self._notice(event)

    def _notice(self, event: Event) -> None:
        if isinstance(event, Reconnected | FellBack):
            self._say_once(type(event).__name__, notice_of(event))

    @property
    def _shows_lines(self) -> bool:
        return not (self.is_silent or self.only_failed)

    def _line(self, line: Line) -> None:
        if not self._shows_lines or not self.choice.takes(line.row):
            return
        if self._held is None:
            self._print_line(line)
            return
        # The newest by time, for each step comes by itself; those of one moment as they came.
        self._lines += 1
        heappush(self._held, (line.ts, self._lines, line))
        if len(self._held) > (self.choice.tail or 0):
            heappop(self._held)

    def _release(self) -> None:
        """Print the last of what was there."""
        held, self._held = self._held, None
        for *_, line in sorted(held or ()):
            self._print_line(line)

    def _print_line(self, line: Line) -> None:
        """Print a line, under a heading if those before it were of another attempt."""
        if self._attempts.get(line.step, 1) != line.attempt and not self.is_raw:
            emit(output.heading(line.step, f"attempt {line.attempt}"), self.out)
        self._attempts[line.step] = line.attempt
        self._print(line.row)

    def _print(self, row: Mapping[str, str]) -> None:
        emit(raw(row) if self.is_raw else output.prefixed(row), self.out)

    def _show_failed(self, steps: Iterable[Mapping[str, Any]], *, is_last: bool = False) -> None:
        if not self.only_failed:
            return
        for name in failed_of(steps):
            try:
                self._print_step(name)
            except CommandError as error:
                if is_last or error.code is not Exit.SERVER:
                    raise
                # What the server did not give now is printed at the end.

    def _print_step(self, name: str) -> None:
        """Print the log of a step, from where it was left if that was tried before."""
        if name in self._whole:
            return
        rows = self.choice.of(rows_of(self.client, self.job_id, name))
        for row in islice(rows, self._printed[name], None):
            self._print(row)
            self._printed[name] += 1
        self._whole.add(name)

    def _tell(self, job: Mapping[str, Any]) -> None:
        """Say once what no log tells: what asks for an answer, how far loops are, who waits."""
        if self.step is None:
            for key, text in news_of(job):
                self._say_once(key, text)

    def _say_once(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            say(text)


def notice_of(event: Reconnected | FellBack) -> str:
    """Return what is said of a connection that is not as it was."""
    if isinstance(event, Reconnected):
        return f"{event.reason}; reconnected"
    return f"no live updates ({event.reason}): asking again and again instead"


def raw(row: Mapping[str, str]) -> str:
    """Return a line as the JSON that the server keeps of it."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def rows_of(client: Client, job_id: str, step: str | None) -> Iterator[Mapping[str, str]]:
    """Yield the lines of a job or of one of its steps that are there now."""
    parts = ("api", "jobs", job_id) if step is None else ("api", "jobs", job_id, "steps", step)
    with told_as_command_errors():
        for text, _ in new_lines(live_client(client).rest, path_of(*parts, "logs"), 0):
            yield json.loads(text)


def failed_of(steps: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the steps that failed, without loops: their instances say more."""
    return [
        step["step_name"]
        for step in steps
        if step["status"] == StepStatus.FAILED and not step.get("loop")
    ]


def say_end(job: Mapping[str, Any]) -> None:
    """Say how a job ended, and why those of its steps failed that did."""
    for step in job["steps"]:
        if step["error_message"]:
            first = step["error_message"].partition("\n")[0]
            say(f"{step['step_name']}: {step['status']}: {first}")
    why = f": {job.get('reason')}" if job.get("reason") else ""
    say(f"job {job['job_id']} {job['status']}{why}")
    if job.get("retry_job_id"):
        say(f"its task is tried again by job {job.get('retry_job_id')}")
