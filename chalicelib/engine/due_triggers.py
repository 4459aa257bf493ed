"""What the tick does for schedules: make the jobs whose time has come, or is about to.

The index `due` nominates, the strongly read record decides. A job is made before its record moves
on, and its id follows from its nominal time; so ticks may be late, doubled, or cut off anywhere.
Source: decision 12; protocol, "Sweep", I5.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, StroemError
from chalicelib.domain.schedule.missed import OnMissed, times_from
from chalicelib.domain.schedule.records import TriggerRecord
from chalicelib.domain.schedule.timing import timing_of
from chalicelib.engine import schedules
from chalicelib.engine.engine import Engine
from chalicelib.engine.firing import Armed, Run, arm, fire, needs_waking

_LOOKED = 200
# So many of one schedule at a time, so that none keeps the others from their turn; and in all.
_IN_A_ROW = 20
_IN_ALL = 300


@dataclass(slots=True)
class Fired:
    """What one pass did: times tried, jobs made of these, schedules that a fault cut off.

    `wakes` are the jobs made ahead that must be looked at when their time comes, with that time.
    """

    made: int = 0
    tried: int = 0
    failed: int = 0
    wakes: list[tuple[datetime, str]] = field(default_factory=list)


def fire_due(engine: Engine, until: datetime) -> Fired:
    """Make the jobs of all schedules with a time up to `until`; one's fault stops no other.

    Of more than a few hundred the rest is left for the next pass.
    """
    fired = Fired(failed=schedules.reconcile_all(engine))
    waiting = engine.schedules.due(until, _LOOKED)
    while waiting:
        again = []
        for workspace, name in waiting:
            if fired.tried >= _IN_ALL:
                return fired
            try:
                if _turn(engine, workspace, name, until, fired):
                    again.append((workspace, name))
            except StroemError:
                fired.failed += 1
        waiting = again
    return fired


def _turn(engine: Engine, workspace: str, name: str, until: datetime, fired: Fired) -> bool:
    """Give one schedule its turn; say whether it has more to do."""
    record = engine.schedules.trigger(workspace, name)
    if record is None or record.next_at is None or record.next_at > until:
        return False
    armed = _armed(engine, record)
    if armed is None:
        # It is not what the record was made from.
        schedules.reconcile(engine, workspace)
        return False
    if armed.trigger.task in engine.registry.paused_tasks(workspace):
        _let_pass(engine, record)
        return False
    if armed.trigger.force_refresh:
        armed = _refreshed(engine, armed)
    return _advance(engine, armed, record, until, fired)


def _armed(engine: Engine, record: TriggerRecord) -> Armed | None:
    try:
        armed = arm(engine, record.workspace, record.name)
    except NotFoundError:
        return None
    is_same = timing_of(armed.trigger) == record.timing and record.is_live(armed.trigger)
    return armed if is_same else None


def _refreshed(engine: Engine, armed: Armed) -> Armed:
    """Return the trigger after its workspace was refreshed; as it was, where that fails."""
    with suppress(StroemError):
        engine.refresher.refresh(armed.workspace)
        return arm(engine, armed.workspace, armed.trigger.key)
    return armed


def _advance(
    engine: Engine, armed: Armed, record: TriggerRecord, until: datetime, fired: Fired
) -> bool:
    """Make the next few jobs, then move the record on; say whether more are due."""
    now = engine.clock.now()
    fault: StroemError | None = None
    done = 0
    moved, times = record, _times(armed, record, now)
    nominal = next(times, None)
    while nominal is not None and nominal <= until and done < _IN_A_ROW and fault is None:
        try:
            moved = _run(engine, armed, moved, nominal, fired)
        except StroemError as error:
            fault = error
        else:
            done += 1
            fired.tried += 1
            nominal = next(times, None)
    moved = replace(moved, next_at=nominal)
    if moved != record:
        # Another tick was quicker: it made the same jobs.
        with suppress(ConflictError):
            engine.schedules.put(moved, record)
    if fault is not None:
        raise fault
    return nominal is not None and nominal <= until


def _let_pass(engine: Engine, record: TriggerRecord) -> None:
    """Move on over what has passed: while a task is paused nothing of it is missed."""
    now = engine.clock.now()
    if record.timing is not None and record.next_at is not None and record.next_at <= now:
        moved = replace(record, next_at=record.timing.first_after(now))
        with suppress(ConflictError):
            engine.schedules.put(moved, record)


def _times(armed: Armed, record: TriggerRecord, now: datetime) -> Iterator[datetime]:
    if record.timing is None or record.next_at is None:
        return iter(())
    return times_from(record.timing, OnMissed(armed.trigger.on_missed), record.next_at, now)


def _run(
    engine: Engine, armed: Armed, record: TriggerRecord, nominal: datetime, fired: Fired
) -> TriggerRecord:
    """Make the job of one nominal time; return the record, which keeps why it could not be."""
    now = engine.clock.now()
    timing = record.timing
    delay = timing.delay_of(record.key, nominal) if timing else timedelta()
    start_at = nominal + delay if nominal + delay > now else None
    run = Run(nominal=nominal, start_at=start_at, slots=armed.slots)
    try:
        job, is_new = fire(engine, armed, run)
    except InvalidError as error:
        return replace(record, error=error.message, error_at=nominal)
    fired.made += is_new
    if needs_waking(engine, job) and job.start_at is not None:
        fired.wakes.append((job.start_at, job.job_id))
    return replace(record, error=None, error_at=None)
