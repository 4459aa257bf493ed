"""What is done when a connection has ended: it is forgotten, and so is that it watched.

Source: live logs, section 2.2.
"""

from __future__ import annotations

from contextlib import suppress

from chalicelib.domain.errors import NotFoundError
from chalicelib.engine.engine import Engine


def part(engine: Engine, connection_id: str) -> None:
    """Forget a connection; a job that nobody watches any more is taken to be unwatched.

    Safe to repeat.
    """
    topics = engine.connections.close(connection_id)
    for job_id in sorted({topic.job_id for topic in topics if topic.job_id is not None}):
        leave(engine, job_id)


def leave(engine: Engine, job_id: str) -> None:
    """Let a job be unwatched if nobody watches it any more."""
    with suppress(NotFoundError):
        # Read before the watchers: who comes in between has noted a time of his own.
        until = engine.jobs.get(job_id).watched_until
        if until is not None and not engine.connections.watchers(f"job/{job_id}"):
            engine.jobs.unwatch(job_id, until)
