"""What the tick does each minute: sweep, and sweep again half a minute later if there is work.

One rule: while nothing runs, one look and nothing more.
Source: protocol, "Sweep".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

from chalicelib.engine.engine import Engine
from chalicelib.engine.recovery import Swept, sweep

_log = logging.getLogger("stroem.tick")

BETWEEN_S = 30


def on_tick(engine: Engine, sleep: Callable[[float], None]) -> tuple[Swept, ...]:
    """Sweep; if that found work, wait 30 s and sweep once more. Return the passes' figures."""
    passes = [sweep(engine)]
    if passes[0] != Swept():
        sleep(BETWEEN_S)
        passes.append(sweep(engine))
    _log.info("tick", extra={"passes": [asdict(one) for one in passes]})
    return tuple(passes)
