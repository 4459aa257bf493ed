"""Follow a job: print what its steps write as it comes, until the job has ended.

Each step's log is asked for by itself, because lines of one step only ever grow at the end.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.cli.client import path_of
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import is_coloured
from chalicelib.domain.lifecycle import JobStatus, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.cli.client import Client

POLL_S = 0.25
_SLOWEST_S = 2.0
_COLOURS = ("36", "35", "34", "33", "32", "96", "95", "94")


@dataclass(slots=True)
class Follower:
    """Prints each line once; `step` None follows all steps."""

    client: Client
    job_id: str
    step: str | None = None
    _next: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    def to_end(self, timeout_s: float | None = None) -> Mapping[str, Any]:
        """Print until the job has ended, and return it.

        Raises:
            CommandError: it did not end in time; it goes on.
        """
        started, pause_s = time.monotonic(), POLL_S
        while True:
            job: dict[str, Any] = self.client.get(path_of("api", "jobs", self.job_id))
            printed = self._print_new(job)
            if JobStatus(job["status"]).is_terminal:
                return job
            if timeout_s is not None and time.monotonic() - started > timeout_s:
                raise CommandError(
                    Exit.TIMED_OUT,
                    f"job {self.job_id} is still {job['status']} after {timeout_s:g}s; it goes on",
                )
            pause_s = POLL_S if printed else min(pause_s * 1.3, _SLOWEST_S)
            time.sleep(pause_s)

    def _print_new(self, job: Mapping[str, Any]) -> bool:
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
        answer = self.client.get(path, {"after": self._next.get(name, 0)})
        self._next[name] = answer["next"]
        lines = [line for line in answer["logs"].split("\n") if line]
        for line in lines:
            print(prefixed(json.loads(line)), flush=True)
        return bool(lines)


def prefixed(line: Mapping[str, str]) -> str:
    """Return a log line with its step in front, coloured by step on a terminal."""
    name = f"{line['step']}:"
    if is_coloured():
        colour = _COLOURS[sum(line["step"].encode()) % len(_COLOURS)]
        name = f"\x1b[{colour}m{name}\x1b[0m"
    return f"{name} {plain(line['line'])}"


def plain(text: str) -> str:
    """Return the text without control characters: a log must not drive the reader's terminal."""
    return "".join(char for char in text if char == "\t" or char.isprintable())
