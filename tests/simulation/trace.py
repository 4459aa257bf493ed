"""What happened in a run: a digest always, and lines to read when asked for.

One line a call, with what matters of it: jobs are named by the order in which they were made.
"""

from __future__ import annotations

import re
from datetime import datetime

from chalicelib.domain.job import Job, JobState, LoopGroup, StepRecord
from chalicelib.domain.logs import LogChunk
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord
from chalicelib.engine import moves

_MASK = (1 << 61) - 1
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST = 150
_FAULTS = "crash_|lost|throttle|retry|partial"
_QUIET = re.compile(
    rf" registry\.(heartbeat|workers|pools) .*-> (?!{_FAULTS})| jobs\.due .*-> \[\]$"
)


class Trace:
    """Each call of a port, in order. The digest tells whether two runs differ."""

    def __init__(self, *, keep=False):
        self.digest = 7
        self.lines = [] if keep else None
        self.scheduler = None
        self._numbers = {}
        self._names = {}

    def note(self, what, args, result):
        number = self._numbers.setdefault(what, len(self._numbers) + 1)
        actor = self.scheduler.current
        outcome = 1 if result is None else 2 if result is True else 3
        if isinstance(result, Exception):
            outcome = 4 + len(type(result).__name__)
        elif isinstance(result, str):
            outcome = 40 + len(result)
        self.digest = (self.digest * 1_000_003 + actor.number * 64 + number * 7 + outcome) & _MASK
        if self.lines is not None:
            shown = "" if result is None else f" -> {_short(result)}"
            self.say(f"{what} {' '.join(_short(arg) for arg in args)}{shown}")

    def say(self, text):
        if self.lines is not None:
            actor = self.scheduler.current
            name = f"{actor.process.name}/{actor.name}" if actor else "hub"
            self.lines.append(f"{self.scheduler.now:8.2f}  {name:<16} {self.named(text)}")

    def told(self):
        """Return the lines that matter: without heartbeats, and sweeps that find nothing."""
        return [line for line in self.lines or () if not _QUIET.search(line)]

    def named(self, text):
        """Return the text with derived ids replaced by short ones."""
        return _UUID.sub(self._name, text)

    def _name(self, found):
        return self._names.setdefault(found[0], f"d{len(self._names) + 1}")


def _short(value):
    text = _SHORT.get(type(value), _other)(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _other(value):
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value) if isinstance(value, str) else repr(value)


def _job(job):
    flags = [name for name in ("paused", "killed", "admitted", "is_seeded") if getattr(job, name)]
    after = [f"after {'+'.join(sorted(job.after))}"] if job.after else []
    return " ".join([f"{job.job_id}({job.task})", str(job.status), *flags, *after])


def _state(state):
    steps = [_record(record) for record in state.steps.values()]
    open_ones = [
        f"{key} open {sorted(i for group in groups.values() for i in group.open)}"
        for key, groups in state.loops.items()
    ]
    return f"{_job(state.job)} [{', '.join([*steps, *open_ones])}]"


def _record(record):
    halted = " halted" if record.halted else ""
    return f"{record.step}#{record.attempt} {record.status}{halted}"


def _begin(begin):
    more = f" as {begin.child}" if begin.child else ""
    return f"{_ref(begin.ref)}#{begin.attempt} {begin.status}{more} {begin.error or ''}"


def _end(end):
    return f"{_ref(end.ref)}#{end.attempt} {end.status} by {end.lease} {end.error or ''}"


def _ref(ref):
    return f"{ref.job_id}/{ref.step}"


_SHORT = {
    Job: _job,
    JobState: _state,
    StepRecord: _record,
    StepRef: _ref,
    moves.StepBegin: _begin,
    moves.StepEnd: _end,
    moves.StepRetry: lambda r: f"{_ref(r.ref)}#{r.past.attempt} by {r.lease}: {r.past.error}",
    datetime: lambda at: at.strftime("%H:%M:%S"),
    WorkerRecord: lambda worker: f"{worker.worker_id} {worker.status}",
    LogChunk: lambda c: f"{c.job_id}/{c.step}#{c.attempt} lines {c.first}-{c.last}",
    dict: lambda found: f"{{{', '.join(_short(one) for one in found.values())}}}",
    LoopGroup: lambda g: f"group {g.number} open {sorted(g.open)} failed {sorted(g.failed)}",
    moves.Claim: lambda c: f"{_ref(c.ref)}#{c.attempt} as {c.lease}",
    moves.JobEnd: lambda e: f"{e.status} {e.reason or ''}",
    moves.Message: lambda m: f"{_ref(m.ref)}#{m.attempt}",
    moves.Received: lambda r: f"{_ref(r.message.ref)}#{r.message.attempt} from {r.pool}",
    list: lambda some: "[" + ", ".join(_short(one) for one in some) + "]",
    tuple: lambda some: "(" + ", ".join(_short(one) for one in some) + ")",
}
