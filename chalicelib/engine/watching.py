"""Let those who watch a job live be told that something of it has changed.

One rule: what is not watched costs nothing. The write of a pulse is what the stream of the table
brings to the pushes; who watches began before it finds what is new in the records themselves.
Source: live logs, section 2.3.
"""

from __future__ import annotations

from contextlib import suppress

from chalicelib.domain.errors import StroemError
from chalicelib.domain.job import Job
from chalicelib.domain.live import WATCHED_FOR
from chalicelib.engine.engine import Engine


def keep_watched(engine: Engine, job: Job) -> None:
    """Note that somebody looks on at a job that goes on, at most once a minute."""
    now = engine.clock.now()
    is_noted = job.watched_until is not None and job.watched_until - now >= WATCHED_FOR * 2 / 3
    if not (is_noted or job.status.is_terminal):
        # Who looks on sees what is there, even if what follows comes later than it could.
        with suppress(StroemError):
            engine.jobs.watch(job.job_id, now + WATCHED_FOR)


def pulse(engine: Engine, job: Job) -> None:
    """Tell the job's watchers after its steps changed. `job` was read after that write."""
    now = engine.clock.now()
    if job.is_watched(now):
        # Who watches asks again within seconds; a step's end must not fail for it.
        with suppress(StroemError):
            engine.jobs.pulse(job.job_id, now)
