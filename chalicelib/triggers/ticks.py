"""What the tick does each minute: schedules and the sweep, and both again half a minute later.

Jobs that were made ahead and cannot wait in a queue are looked at when their second comes.
One rule: while nothing runs or is to run, one look and nothing more.
Source: protocol, "Sweep"; decision 12.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from chalicelib.domain.errors import StroemError
from chalicelib.engine.advance import advance
from chalicelib.engine.backfills import Filled, fill_due
from chalicelib.engine.due_triggers import Fired, fire_due
from chalicelib.engine.engine import Engine
from chalicelib.engine.event_sources import Tended, tend
from chalicelib.engine.recovery import Swept, sweep
from chalicelib.engine.schedules import AHEAD
from chalicelib.triggers.polling import polling

_log = logging.getLogger("stroem.tick")

BETWEEN_S = 30
Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Passed:
    """What one pass did."""

    swept: Swept
    fired: Fired
    filled: Filled
    tended: Tended

    @property
    def is_idle(self) -> bool:
        """Say whether there was nothing to do."""
        done = (self.swept, self.fired, self.filled, self.tended)
        return done == (Swept(), Fired(), Filled(), Tended())


def on_tick(engine: Engine, sleep: Sleep) -> tuple[Swept, ...]:
    """Fire what is due until the next tick, and sweep; return the sweeps' figures.

    If there was work, do so again after 30 s. Ends after about a minute at the latest.
    """
    began = engine.clock.now()
    with polling(engine, began + AHEAD):
        passes = _passes(engine, sleep, began)
    _log.info("tick", extra={"passes": [_figures(one) for one in passes]})
    return tuple(one.swept for one in passes)


def _passes(engine: Engine, sleep: Sleep, began: datetime) -> list[Passed]:
    passes = [_pass(engine, began + AHEAD)]
    wakes = passes[0].fired.wakes
    if not passes[0].is_idle:
        wakes = _wait(engine, sleep, began + timedelta(seconds=BETWEEN_S), wakes)
        passes.append(_pass(engine, began + AHEAD))
        wakes = sorted({*wakes, *passes[1].fired.wakes})
        _wait(
            engine, sleep, min(began + AHEAD, max([at for at, _ in wakes], default=began)), wakes
        )
    return passes


def _pass(engine: Engine, until: datetime) -> Passed:
    """Do all four; that one finds no answer keeps no other from its turn."""
    swept, fired, filled, tended = sweep(engine), Fired(), Filled(), Tended()
    try:
        fired = fire_due(engine, until)
    except StroemError as error:
        _log.warning("schedules were not looked at: %s", error.message)
    try:
        filled = fill_due(engine)
    except StroemError as error:
        _log.warning("backfills were not looked at: %s", error.message)
    try:
        tended = tend(engine)
    except StroemError as error:
        _log.warning("event sources were not looked at: %s", error.message)
    return Passed(swept, fired, filled, tended)


def _wait(
    engine: Engine, sleep: Sleep, until: datetime, wakes: list[tuple[datetime, str]]
) -> list[tuple[datetime, str]]:
    """Sleep, waking each job whose time comes meanwhile; return those whose time is later."""
    later = []
    for at, job_id in sorted(wakes):
        if at > until:
            later.append((at, job_id))
            continue
        _sleep_until(engine, sleep, at)
        with suppress(StroemError):
            # What goes wrong here, the sweep comes back to.
            advance(engine, job_id)
    _sleep_until(engine, sleep, until)
    return later


def _sleep_until(engine: Engine, sleep: Sleep, instant: datetime) -> None:
    left_s = (instant - engine.clock.now()).total_seconds()
    if left_s > 0:
        sleep(left_s)


def _figures(one: Passed) -> dict[str, int]:
    return {
        **asdict(one.swept),
        "fired": one.fired.made,
        "fire_failed": one.fired.failed,
        "filled": one.filled.made,
        "consumers": one.tended.made,
    }
