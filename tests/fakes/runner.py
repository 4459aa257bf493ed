"""Builders for tests of the runner: a sink that remembers, a clock that stands, a host."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from chalicelib.domain.workflow import Language
from chalicelib.runner.run import run_step
from chalicelib.runner.spec import Cancel, Host, StepSpec

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class StandingClock:
    def now(self):
        return NOON


class RememberingSink:
    """Keeps all lines; `on_line` is called with each, in the runner's thread."""

    def __init__(self, on_line=None):
        self.lines = []
        self.times = set()
        self.on_line = on_line

    def write(self, stream, line, at):
        self.lines.append((stream, line))
        self.times.add(at)
        if self.on_line:
            self.on_line(line)

    def text(self, stream):
        return [line for name, line in self.lines if name == stream]


class CountingSink:
    """Keeps nothing but figures and the last line."""

    def __init__(self):
        self.count = self.size = 0
        self.last = None

    def write(self, stream, line, at):
        self.count += 1
        self.size += len(line) + 1
        self.last = line


def a_spec(script=None, language=Language.SHELL, **changes):
    return StepSpec(
        **{
            "job_id": "0190-job",
            "workspace": "shop",
            "task": "ship",
            "step": "build",
            "language": language,
            "script": script,
            **changes,
        }
    )


class Bench:
    """Runs steps in a folder of its own, with this process's PATH and little else."""

    def __init__(self, folder, **host):
        self.folder = folder
        self.workdir = folder / "work"
        self.workdir.mkdir(exist_ok=True)
        self.sink = RememberingSink()
        self.cancel = Cancel()
        self.host = Host(
            **{
                "environ": {"PATH": os.environ["PATH"]},
                "cache_dir": folder / "cache",
                "clock": StandingClock(),
                **host,
            }
        )

    def run(self, script=None, language=Language.SHELL, *, dirs=None, **changes):
        spec = a_spec(script, language, **changes)
        return run_step(spec, self.workdir, self.sink, self.cancel, self.host, dirs)

    def stdout(self):
        return self.sink.text("stdout")

    def stderr(self):
        return self.sink.text("stderr")


def eventually(check, within_s=60.0):
    """Poll until the check holds; say whether it did."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.01)
    return False


def is_alive(pid):
    """Say whether the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 (no need for a path)
            return stat.read().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False
