"""What the tick does for workspaces and libraries from git: look whether there is anything new.

The one rule: a slow server of git keeps no schedule waiting, so it is asked beside all else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from threading import Thread

from chalicelib.domain.errors import StroemError
from chalicelib.engine.engine import Engine
from chalicelib.workspaces.sources import poll

_log = logging.getLogger("stroem.tick")


@contextmanager
def polling(engine: Engine, until: datetime) -> Iterator[None]:
    """Poll what is due up to `until` beside what is done in the block; wait for the end of both.

    Without any such source nothing is started.
    """
    try:
        is_due = any(record.is_due(until) for record in engine.sources.all())
    except StroemError as error:
        _log.warning("sources were not looked at: %s", error.message)
        is_due = False
    if not is_due:
        yield
        return
    beside = Thread(target=_poll, args=(engine, until), name="sources")
    beside.start()
    try:
        yield
    finally:
        beside.join()


def _poll(engine: Engine, until: datetime) -> None:
    try:
        _log.info("sources", extra=asdict(poll(engine, until)))
    except StroemError as error:
        _log.warning("sources were not looked at: %s", error.message)
