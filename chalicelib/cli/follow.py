"""Follow a job: print what its steps write as it comes, until the job has ended.

Each step's log is asked for by itself, because lines of one step only ever grow at the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from chalicelib.cli.client import path_of
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import emit, prefixed, say
from chalicelib.cli.showing import news_of
from chalicelib.domain.lifecycle import JobStatus, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.cli.client import Client

SERVER_STEP = "_server"
_POLL_S = 0.25
_SLOWEST_S = 2.0
_SILENCE_S = 30.0


@dataclass(slots=True)
class Follower:
    """Prints each line once; `step` None follows all steps, `is_silent` only waits.

    `out` is stdout unless given; `is_raw` prints lines as the JSON that they come as. A server
    that does not answer is asked again for `silence_s`: the job goes on without us.
    """

    client: Client
    job_id: str
    step: str | None = None
    out: TextIO | None = None
    is_silent: bool = False
    is_raw: bool = False
    silence_s: float = _SILENCE_S
    poll_s: float = _POLL_S
    _next: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)

    def to_end(self, timeout_s: float | None = None) -> Mapping[str, Any]:
        """Print until the job has ended, and return it.

        Raises:
            CommandError: it did not end in time; it goes on. Or: the server is gone for good.
        """
        started, heard, pause_s = time.monotonic(), time.monotonic(), self.poll_s
        while True:
            printed, job = False, None
            try:
                printed, job = self._look()
                heard = time.monotonic()
            except CommandError as error:
                self._check_patience(error, heard)
            if job is not None and JobStatus(job["status"]).is_terminal:
                return job
            if timeout_s is not None and time.monotonic() - started > timeout_s:
                raise CommandError(
                    Exit.TIMED_OUT,
                    f"job {self.job_id} has not ended after {timeout_s:g}s; it goes on "
                    f"(`stroem logs -f {self.job_id}` follows it)",
                )
            pause_s = self.poll_s if printed else min(pause_s * 1.3, _SLOWEST_S)
            time.sleep(pause_s)

    def _check_patience(self, error: CommandError, heard: float) -> None:
        if error.code is not Exit.SERVER or time.monotonic() - heard > self.silence_s:
            raise error

    def _look(self) -> tuple[bool, dict[str, Any]]:
        job: dict[str, Any] = self.client.get(path_of("api", "jobs", self.job_id))
        self._tell(job)
        return not self.is_silent and self._print_new(job), job

    def _tell(self, job: Mapping[str, Any]) -> None:
        """Say once what no log tells: what asks for an answer, how far loops are, who waits."""
        if self.step is not None:
            return
        for key, text in news_of(job):
            if key not in self._told:
                self._told.add(key)
                say(text)

    def _print_new(self, job: Mapping[str, Any]) -> bool:
        if self.step == SERVER_STEP:
            return self._print_step(SERVER_STEP)
        printed = False
        for step in job["steps"]:
            name, status = step["step_name"], StepStatus(step["status"])
            if name in self._done or self.step not in (None, name):
                continue
            if status in (StepStatus.RUNNING, StepStatus.SUSPENDED) or status.is_terminal:
                printed = self._print_step(name) or printed
            if status.is_terminal:
                self._done.add(name)
        return printed

    def _print_step(self, name: str) -> bool:
        path = path_of("api", "jobs", self.job_id, "steps", name, "logs")
        first = self._next.get(name, 0)
        for line, number in new_lines(self.client, path, first):
            emit(line if self.is_raw else prefixed(json.loads(line)), self.out)
            self._next[name] = number
        return self._next.get(name, 0) > first


def new_lines(client: Client, path: str, after: int) -> Iterator[tuple[str, int]]:
    """Yield the JSON lines of a log behind the first `after`, each with how many there are then.

    The server gives a long log in parts; all of them are asked for.
    """
    while True:
        text = client.get(path, {"after": after})["logs"]
        lines = [line for line in text.split("\n") if line]
        if not lines:
            return
        for number, line in enumerate(lines, after + 1):
            yield line, number
        after += len(lines)


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
