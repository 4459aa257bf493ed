"""What is done each minute for those outside who are told of jobs' ends.

Apart from the tick: a stranger who is slow must not make schedules late. Source: security, S7.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta

from chalicelib.engine.engine import Engine
from chalicelib.engine.notifications import Sending, send_due

_log = logging.getLogger("stroem.deliver")

BETWEEN = timedelta(seconds=30)


def on_minute(engine: Engine, sleep: Callable[[float], None]) -> tuple[Sending, ...]:
    """Send what is due; if there was anything, look once more half a minute later."""
    began = engine.clock.now()
    passes = [send_due(engine)]
    if passes[0].had_work:
        left_s = (began + BETWEEN - engine.clock.now()).total_seconds()
        if left_s > 0:
            sleep(left_s)
        passes.append(send_due(engine))
        _log.info("deliver", extra={"passes": [_figures(one) for one in passes]})
    return tuple(passes)


def _figures(one: Sending) -> dict[str, int]:
    return {name: value for name, value in asdict(one).items() if isinstance(value, int)}
