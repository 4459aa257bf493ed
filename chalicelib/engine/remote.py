"""What workers behind the HTTP API need beyond the use cases that all workers share.

One rule: what such a worker leaves unsaid is taken from the job's records; what it says must agree
with them. An unmodified Strøm worker says neither attempt nor lease nor line numbers.
Source: HTTP API, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.domain.errors import FencedError, NotFoundError
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.logs import LogLine
from chalicelib.domain.loops import flow_key
from chalicelib.domain.pools import priority_of
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord
from chalicelib.domain.workflow import Priority
from chalicelib.engine.arrivals import hidden_lines, hidden_outcome
from chalicelib.engine.chaining import Taker, complete_and_claim
from chalicelib.engine.engine import Engine
from chalicelib.engine.foreign import serves
from chalicelib.engine.job_logs import append_lines
from chalicelib.engine.ports import Received
from chalicelib.engine.steps import Assignment, Hold, Outcome, complete
from chalicelib.engine.workers import pools_of, reach_of, take

# A step of a workspace that the worker does not serve comes back so soon for others.
FOREIGN_AGAIN_S = 2

# A message that speaks of what is over is dropped, and the next one is tried.
TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a worker shows to prove that it holds a step; None where it says nothing."""

    attempt: int | None = None
    lease: str | None = None
    session: str | None = None


def next_assignment(
    engine: Engine,
    session: str,
    capabilities: Sequence[str],
    wait_s: float,
    pools: Sequence[str] = (),
) -> Assignment | None:
    """Claim the next step that the worker can run, waiting `wait_s` (0 to 20) for one.

    Without `pools`, all are asked in which it finds such steps.

    Raises:
        NotFoundError: no such session.
        TemplateError: a step's templates failed; it is ended as failed already.
    """
    worker = engine.session(session)
    if pools:
        pools = [pool for pool in reach_of(worker).of(pools) if engine.knows_pool(pool)]
    else:
        own = worker.capabilities
        offered = tuple(one for one in capabilities if worker.group is None or one in own)
        pools = pools_of(engine, replace(worker, capabilities=offered))
    for number in range(TRIES):
        received = _receive(engine, pools, wait_s if number == 0 else 0.0)
        if received is None:
            return None
        if not worker.scope.has_all_workspaces and _is_passed_on(engine, received, worker):
            continue
        assignment = take(engine, received, session, worker.name)
        if assignment is not None:
            return assignment
    return None


def complete_remote(
    engine: Engine, ref: StepRef, shown: Shown, outcome: Outcome, *, go_on: bool
) -> Assignment | None:
    """Accept the end of an attempt; with `go_on`, claim a step for the session that is shown.

    Raises:
        NotFoundError: no such job.
        FencedError: what is shown does not hold the step.
    """
    hold = hold_of(engine, ref, shown)
    if shown.lease is None:
        outcome = hidden_outcome(engine, ref.job_id, outcome)
    taker = _taker(engine, shown.session) if go_on and shown.session else None
    if taker is not None:
        return complete_and_claim(engine, hold, outcome, taker)
    complete(engine, hold, outcome)
    return None


def hold_of(engine: Engine, ref: StepRef, shown: Shown) -> Hold:
    """Return the hold that the worker reports for: the one that it shows, else the present one.

    A shown lease is checked by the report's own conditional write, so that a repeat is harmless.

    Raises:
        NotFoundError: no such job.
        FencedError: there is no such step, or it shows no lease and it is not its to report.
    """
    if shown.lease is None or shown.attempt is None:
        return held_by(engine, ref, shown)
    plan = engine.known_plan(ref.job_id)
    has_step = plan is not None and flow_key(ref.step) in plan.flow.steps
    if not has_step and _record(engine, ref) is None:
        raise FencedError(f"step {ref.step!r} of job {ref.job_id} has not begun")
    return Hold(ref, shown.attempt, shown.lease)


def held_by(engine: Engine, ref: StepRef, shown: Shown) -> Hold:
    """Return the hold on the running step that the worker speaks of.

    Raises:
        NotFoundError: no such job.
        FencedError: it does not run, or another attempt, lease or session has it.
    """
    return _held(_record(engine, ref), ref, shown)


def _held(record: StepRecord | None, ref: StepRef, shown: Shown) -> Hold:
    if record is None or record.status is not StepStatus.RUNNING or not _agrees(record, shown):
        now = f"{record.status} at attempt {record.attempt}" if record else "not begun"
        raise FencedError(
            f"step {ref.step!r} of job {ref.job_id} is {now}: it is not this worker's to report"
        )
    return Hold(ref, record.attempt, record.lease or "")


def append_remote(
    engine: Engine,
    ref: StepRef,
    shown: Shown,
    first: int | None,
    lines: Sequence[LogLine],
    *,
    live: bool = False,
) -> None:
    """Keep lines of a step's log; without `first` they go behind what is there.

    They are pushed with `live`, and if the job is watched, of which the worker may not know yet.

    Raises:
        NotFoundError: no such job.
        FencedError: the shown lease does not hold the step.
    """
    state = engine.jobs.load_steps(ref.job_id, [ref.step])
    record = state.steps.get(ref.step)
    if shown.lease is not None:
        attempt = _held(record, ref, shown).attempt
    else:
        lines = hidden_lines(engine, ref.job_id, lines)
        attempt = shown.attempt or (record.attempt if record else 1)
    start = first if first is not None else _behind(engine, ref, attempt)
    live = live or state.job.is_watched(engine.clock.now())
    append_lines(engine, ref, attempt, start, lines, live=live)


def _is_passed_on(engine: Engine, received: Received, worker: WorkerRecord) -> bool:
    """Send what the worker may not serve behind again for others; say whether that was done.

    What is over is not sent again, so no message goes round for ever.
    """
    message = received.message
    try:
        state = engine.jobs.load_steps(message.ref.job_id, (message.ref.step,))
    except NotFoundError:
        return False
    if serves(engine, worker.scope, state.job, message.ref.step):
        return False
    record = state.steps.get(message.ref.step)
    is_over = state.job.status.is_terminal or (
        record is not None
        and (record.status is not StepStatus.READY or record.attempt != message.attempt)
    )
    if not is_over:
        # Sent before it is deleted: two of it do no harm, none would wait for the sweep.
        again = [(message, FOREIGN_AGAIN_S)]
        engine.queue.send(received.pool, again, state.job.workspace)
    engine.queue.delete(received)
    return True


def _receive(engine: Engine, pools: Sequence[str], wait_s: float) -> Received | None:
    """Ask the pools once, the urgent first; when all are empty, a plain one is waited for."""
    if not pools:
        return None
    plain = next((pool for pool in pools if priority_of(pool) is Priority.NORMAL), pools[0])
    # Before what can wait is taken, the plain one is asked, too.
    has_low = priority_of(pools[-1]) is Priority.LOW and len(pools) > 1
    at_once = [(pool, 0.0) for pool in pools if pool != plain or has_low]
    for pool, wait in [*at_once, (plain, wait_s)]:
        found = engine.queue.receive(pool, wait, 1)
        if found:
            return found[0]
    return None


def _agrees(record: StepRecord, shown: Shown) -> bool:
    return (
        shown.attempt in (None, record.attempt)
        and shown.lease in (None, record.lease)
        and shown.session in (None, record.session)
    )


def _record(engine: Engine, ref: StepRef) -> StepRecord | None:
    """Return what is kept of a step, or of an instance of a loop. Raises NotFoundError: no job."""
    return engine.jobs.load_steps(ref.job_id, [ref.step]).steps.get(ref.step)


def _taker(engine: Engine, session: str) -> Taker | None:
    try:
        worker = engine.session(session)
    except NotFoundError:
        return None
    return Taker(session, worker.name, reach_of(worker), worker.scope)


def _behind(engine: Engine, ref: StepRef, attempt: int) -> int:
    chunks = engine.logs.chunks(ref.job_id, ref.step)
    return 1 + max((chunk.last for chunk in chunks if chunk.attempt == attempt), default=0)
