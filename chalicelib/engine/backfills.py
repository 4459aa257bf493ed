"""Run a schedule for times that have passed, a few jobs at a time.

The table says how far a backfill has come, places under a limit say how many of its jobs may run,
and the tick makes the next ones when room is left; nobody has to stay and watch.
One rule: a nominal time has one job, whoever asks for it, so a repeat makes nothing new.
Source: protocol, I5.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, takewhile

from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, StroemError
from chalicelib.domain.job import Slot
from chalicelib.domain.schedule.records import Backfill, BackfillStatus
from chalicelib.domain.schedule.timing import Timing, timing_of
from chalicelib.engine import queries_registry
from chalicelib.engine.advance import cancel as cancel_job
from chalicelib.engine.concurrency import LOOKED, backfill_key
from chalicelib.engine.engine import Engine
from chalicelib.engine.firing import Run, arm, fire, job_id_of

MOST_TIMES = 10_000
MOST_PARALLEL = 50
SHOWN_TIMES = 100
_OPEN = 20
# Jobs that wait behind those that run, so that the tick need not come for each.
_SPARE = 5
# Times that have a job already cost little: so many of them in one look.
_IN_A_LOOK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRequest:
    """A wish to run a trigger for each nominal time from `first` to `last`, both included."""

    workspace: str
    trigger: str
    first: datetime
    last: datetime
    max_parallel: int
    by: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a backfill would do: how many times there are, and the first of them.

    Beside each of these stands whether it has a job already, which would be left as it is.
    """

    total: int
    times: tuple[tuple[datetime, bool], ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """A backfill, and how many of its jobs run and wait for their turn now."""

    backfill: Backfill
    running: int
    waiting: int


@dataclass(slots=True)
class Filled:
    """What one pass did: jobs made, backfills that a fault cut off."""

    made: int = 0
    failed: int = 0
    open: int = 0


def preview(engine: Engine, request: BackfillRequest) -> Preview:
    """Say what the request would do. Nothing is made.

    Raises: as `begin`.
    """
    timing, total = _checked(engine, request)
    first = islice(timing.runs_from(request.first), min(total, SHOWN_TIMES))
    shown = tuple((run, _has_job(engine, request, run)) for run in first)
    return Preview(total, shown)


def begin(engine: Engine, request: BackfillRequest) -> Backfill:
    """Write the backfill down and make its first jobs.

    Raises:
        NotFoundError: there is no such workspace or trigger.
        InvalidError: the bounds or the number are not what they may be.
    """
    timing, total = _checked(engine, request)
    record = Backfill(
        backfill_id=engine.ids.job_id(),
        workspace=request.workspace,
        trigger=request.trigger,
        # As it is asked for now: a backfill does not stop at what comes later.
        timing=replace(timing, jitter_s=0),
        first=request.first,
        last=request.last,
        max_parallel=request.max_parallel,
        total=total,
        created_at=engine.clock.now(),
        by=request.by,
        next_at=next(timing.runs_from(request.first), None) if total else None,
    )
    engine.backfills.put(record, None)
    with suppress(StroemError):
        # What is not made now, the tick makes.
        fill(engine, record.workspace, record.backfill_id)
    return engine.backfills.get(record.workspace, record.backfill_id)


def progress(engine: Engine, workspace: str, backfill_id: str) -> Progress:
    """Return how far a backfill has come.

    Raises:
        NotFoundError: there is no such workspace or backfill.
    """
    record = _found(engine, workspace, backfill_id)
    line = engine.slots.line(backfill_key(workspace, backfill_id), LOOKED)
    return Progress(record, len(line.holders), len(line.waiters))


def cancel(engine: Engine, workspace: str, backfill_id: str) -> Backfill:
    """Make no more jobs, and cancel those that have not ended. Safe to repeat.

    Raises:
        NotFoundError: there is no such workspace or backfill.
        ConflictError: it has ended, or was changed at the same time.
    """
    record = _found(engine, workspace, backfill_id)
    if record.status not in (BackfillStatus.RUNNING, BackfillStatus.CANCELLED):
        raise ConflictError(f"backfill {backfill_id} has ended already: it is {record.status}")
    if record.status is BackfillStatus.RUNNING:
        ended = replace(record, status=BackfillStatus.CANCELLED, ended_at=engine.clock.now())
        engine.backfills.put(ended, record)
        record = ended
    line = engine.slots.line(backfill_key(workspace, backfill_id), LOOKED)
    # Who waits goes first, so that none takes the place of one that is stopped.
    for job_id in (*(waiter.job_id for waiter in line.waiters), *line.holders):
        with suppress(NotFoundError, ConflictError):
            cancel_job(engine, job_id, reason=f"Backfill {backfill_id} was cancelled")
    return record


def fill_due(engine: Engine) -> Filled:
    """Look at every backfill that runs; one's fault stops no other."""
    filled = Filled()
    for workspace, backfill_id in engine.backfills.running(_OPEN):
        filled.open += 1
        try:
            filled.made += fill(engine, workspace, backfill_id)
        except StroemError:
            filled.failed += 1
    return filled


def fill(engine: Engine, workspace: str, backfill_id: str) -> int:
    """Make as many jobs as there is room for; end the backfill when the last has ended.

    Returns how many were made.
    """
    record = engine.backfills.get(workspace, backfill_id)
    if record.status is not BackfillStatus.RUNNING:
        return 0
    line = engine.slots.line(backfill_key(workspace, backfill_id), LOOKED)
    at_work = len(line.holders) + len(line.waiters)
    try:
        moved = _moved(engine, record, record.max_parallel + _SPARE - at_work)
    except (InvalidError, NotFoundError) as error:
        moved = replace(record, status=BackfillStatus.FAILED, error=error.message)
    if moved.next_at is None and moved.made == record.made and at_work == 0:
        moved = replace(moved, status=BackfillStatus.COMPLETED)
    if moved.status is not BackfillStatus.RUNNING:
        moved = replace(moved, ended_at=engine.clock.now())
    if moved != record:
        with suppress(ConflictError):
            engine.backfills.put(moved, record)
    return moved.made - record.made


def _moved(engine: Engine, record: Backfill, room: int) -> Backfill:
    """Return the backfill after the next jobs were made, up to `room`."""
    if record.next_at is None or room <= 0:
        return record
    armed = arm(engine, record.workspace, record.trigger)
    slot = Slot(backfill_key(record.workspace, record.backfill_id), record.max_parallel)
    made = existing = 0
    left = takewhile(lambda run: run <= record.last, record.timing.runs_from(record.next_at))
    nominal = next(left, None)
    while nominal is not None and made < room and existing < _IN_A_LOOK:
        job, is_new = fire(engine, armed, Run(nominal=nominal, slots=(slot,)))
        # A repeat of a look that was cut off finds its own.
        is_own = is_new or slot in job.slots
        made, existing = made + is_own, existing + (not is_own)
        nominal = next(left, None)
    return replace(
        record, next_at=nominal, made=record.made + made, existing=record.existing + existing
    )


def _checked(engine: Engine, request: BackfillRequest) -> tuple[Timing, int]:
    """Return the schedule's times and how many there are between the bounds."""
    armed = arm(engine, request.workspace, request.trigger)
    timing = timing_of(armed.trigger)
    if timing is None:
        raise InvalidError(f"trigger {armed.key} is no schedule: there are no times to fill in")
    if not 1 <= request.max_parallel <= MOST_PARALLEL:
        raise InvalidError(f"max_parallel must be from 1 to {MOST_PARALLEL}")
    if request.first > request.last:
        raise InvalidError("`from` is later than `to`")
    if request.last > engine.clock.now():
        raise InvalidError("`to` lies ahead: the schedule itself sees to what is to come")
    between = takewhile(lambda run: run <= request.last, timing.runs_from(request.first))
    total = sum(1 for _ in islice(between, MOST_TIMES + 1))
    if total > MOST_TIMES:
        raise InvalidError(
            f"there are more than {MOST_TIMES:,} times between `from` and `to`: ask for fewer"
        )
    return timing, total


def _has_job(engine: Engine, request: BackfillRequest, nominal: datetime) -> bool:
    try:
        engine.jobs.get(job_id_of(request.workspace, request.trigger, nominal))
    except NotFoundError:
        return False
    return True


def _found(engine: Engine, workspace: str, backfill_id: str) -> Backfill:
    queries_registry.workspace_of(engine, workspace)
    return engine.backfills.get(workspace, backfill_id)
