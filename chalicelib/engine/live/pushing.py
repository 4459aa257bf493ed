"""Changes, as the streams of the tables bring them, told to those who watch.

One rule: a batch is told as far as it can be, each job by itself; all of it is harmless when it
comes again, and what nobody watches costs one query at most.
Source: live logs, sections 2.2 to 2.4.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from chalicelib.domain.errors import NotFoundError, StroemError, UnavailableError
from chalicelib.domain.live import Mode
from chalicelib.domain.logs import LogChunk
from chalicelib.engine.engine import Engine
from chalicelib.engine.live.audience import Audience, kept_job
from chalicelib.engine.live.batch import Batch
from chalicelib.engine.live.changes import Change, ConnectionOpened, JobChanged, LinesAdded
from chalicelib.engine.live.pushed_jobs import tell_jobs
from chalicelib.engine.live.pushed_lines import tell_lines
from chalicelib.engine.live.relay import relay
from chalicelib.engine.live.sending import Figures

_log = logging.getLogger("stroem.live")
# A connection that was opened has its batch for itself, and the function a minute.
_FOR_ONE = timedelta(seconds=30)
# What else is in a batch, and behind it in its shard, waits for it.
_FOR_ALL = timedelta(seconds=5)


def on_changes(
    engine: Engine, changes: Sequence[Change], pause: Callable[[float], None]
) -> Figures:
    """Tell of a batch; return what became of it. Of one job, changes stand in their order."""
    is_of_one = all(isinstance(change, ConnectionOpened) for change in changes)
    until = engine.clock.now() + (_FOR_ONE if is_of_one else _FOR_ALL)
    batch = Batch(engine, Audience(engine), pause, until)
    added: dict[str, list[LogChunk]] = {}
    changed: dict[str, list[JobChanged]] = {}
    opened: dict[str, None] = {}
    for change in changes:
        match change:
            case LinesAdded():
                added.setdefault(change.chunk.job_id, []).append(change.chunk)
            case JobChanged():
                changed.setdefault(change.after.workspace, []).append(change)
            case ConnectionOpened():
                opened[change.connection_id] = None
    for job_id, chunks in added.items():
        _try(batch, job_id, partial(tell_lines, batch, job_id, chunks))
    for workspace, jobs in changed.items():
        _try(batch, workspace, partial(tell_jobs, batch, workspace, jobs))
    for connection_id in opened:
        _try(batch, connection_id, partial(_begin, batch, connection_id))
    return batch.figures


def _try(batch: Batch, what: str, tell: Callable[[], None]) -> None:
    """Tell of a part of the batch; that it fails keeps no other part from being told."""
    try:
        tell()
    except NotFoundError:
        # A job or a connection that is gone has nothing to tell, and nobody to be told.
        return
    except StroemError as error:
        batch.figures.failed += 1
        batch.figures.may_help |= isinstance(error, UnavailableError)
        _log.warning("not told", extra={"of": what, "error": error.message})
    except Exception:  # noqa: BLE001 - the edge of a part
        # One bad record must not keep the others of its shard from being told.
        batch.figures.failed += 1
        _log.exception("not told", extra={"of": what})


def _begin(batch: Batch, connection_id: str) -> None:
    """Send what is there to a connection of bare lines that was opened just now."""
    engine = batch.engine
    connection = engine.connections.connection(connection_id)
    for topic in connection.topics if connection.mode is Mode.LINES else ():
        watchers = engine.connections.watchers(topic.channel)
        mine = [one for one in watchers if one.connection_id == connection_id]
        if batch.audience.of_job(kept_job(engine, topic.job_id or "").job, mine):
            relay(batch, connection_id, topic.job_id or "")
