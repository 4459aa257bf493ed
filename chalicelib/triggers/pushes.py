"""What the streams of the tables bring, told to those who watch.

One rule: no record keeps those behind it from being told. Only a batch of which nothing was told,
since a service did not answer, is asked for once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.values import JsonObject
from chalicelib.engine.engine import Engine
from chalicelib.engine.live import pushing
from chalicelib.engine.live.sending import Figures

_log = logging.getLogger("stroem.pushes")


def on_changes(
    engine: Engine, event: Mapping[str, Any], pause: Callable[[float], None] = time.sleep
) -> JsonObject:
    """Tell the watchers of each change; `pause` waits so many seconds.

    Raises:
        UnavailableError: nothing was told, and trying again may help: Lambda brings it again.
    """
    # Loaded here: importing the app must not cost PynamoDB.
    from chalicelib.store.changes import read_changes  # noqa: PLC0415 - as above

    started = time.perf_counter()
    changes, figures = read_changes(event), Figures()
    try:
        figures = pushing.on_changes(engine, changes, pause)
    except Exception:  # noqa: BLE001 - the edge of the process
        _log.exception("changes could not be told")
    ms = round((time.perf_counter() - started) * 1000, 1)
    _log.info("changes", extra={"changes": len(changes), "ms": ms, **asdict(figures)})
    if figures.may_help and not (figures.sent or figures.frames):
        raise UnavailableError("nothing of these changes was told: a service did not answer")
    return {"batchItemFailures": []}
