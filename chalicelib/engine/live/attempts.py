"""Which attempts of a job have begun, and how many lines of each are there.

One rule: the records are read before the lines, so an attempt that has ended shows its last one.
Source: live logs, section 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from chalicelib.domain.instances import chosen
from chalicelib.domain.job import Job, JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.reruns import is_taken_over
from chalicelib.engine.engine import Engine
from chalicelib.engine.live.messages import Attempt, Head

MOST_ATTEMPTS = 200
_MOST_LOOPS = 16
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that a worker began. `ended_at` is when it was over, None while it runs."""

    attempt: Attempt
    started_at: datetime
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """Say whether no lines will follow."""
        return self.ended_at is not None


def begun_in(job: Job, records: Iterable[StepRecord]) -> Iterator[Begun]:
    """Yield the attempts of these records that workers began here, in their order.

    What the engine runs itself, and what a re-run took over, has no lines in this job.
    """
    for record in records:
        if record.loop is not None or is_taken_over(job, record):
            continue
        for past in record.history:
            if past.child is None and past.started_at is not None:
                own = Attempt(job.job_id, record.step, past.attempt)
                yield Begun(own, past.started_at, past.failed_at)
        is_ours = record.child is None and record.suspended_at is None
        if is_ours and record.started_at is not None and record.status is not StepStatus.READY:
            own = Attempt(job.job_id, record.step, record.attempt)
            yield Begun(own, record.started_at, _end_of(record))


def begun(engine: Engine, state: JobState) -> tuple[list[Begun], bool]:
    """Return up to 200 attempts, those that run first, then the newest; and if there are more."""
    records, is_cut = _instances(engine, state)
    found = [*begun_in(state.job, chain(state.steps.values(), records))]
    found.sort(key=lambda one: one.started_at, reverse=True)
    found.sort(key=lambda one: one.has_ended)
    return found[:MOST_ATTEMPTS], is_cut or len(found) > MOST_ATTEMPTS


def heads_of(engine: Engine, job_id: str, found: Sequence[Begun]) -> list[Head]:
    """Return how many lines of each of the job's attempts are there."""
    lasts = engine.logs.heads(job_id, [(one.attempt.step, one.attempt.number) for one in found])
    return [Head(one.attempt, last, one.has_ended) for one, last in zip(found, lasts, strict=True)]


def head_of(engine: Engine, attempt: Attempt, *, has_ended: bool) -> Head:
    """Return how many lines of an attempt are there."""
    last = engine.logs.head(attempt.job_id, attempt.step, attempt.number)
    return Head(attempt, last, has_ended)


def one_head(engine: Engine, attempt: Attempt) -> Sequence[Head]:
    """Return the head of one attempt, none if it may still begin. Raises NotFoundError: no job."""
    state = engine.jobs.load_steps(attempt.job_id, [attempt.step])
    found = [one for one in begun_in(state.job, state.steps.values()) if one.attempt == attempt]
    if state.job.status.is_terminal:
        return [head_of(engine, attempt, has_ended=True)]
    return heads_of(engine, attempt.job_id, found)


def _instances(engine: Engine, state: JobState) -> tuple[list[StepRecord], bool]:
    """Return records of loops' instances, those at work among them, and whether some were left."""
    loops = [record for record in state.steps.values() if record.loop is not None]
    loops.sort(key=lambda one: (one.status.is_terminal, -_since(one)))
    found: list[StepRecord] = []
    left, is_cut = MOST_ATTEMPTS, len(loops) > _MOST_LOOPS
    for record in loops[:_MOST_LOOPS]:
        total = record.loop.total if record.loop else 0
        ranges = chosen(total, state.loops.get(record.step, {}), left)
        for wanted in ranges:
            if wanted:
                part = (state.job.job_id, record.step, wanted[0], wanted[-1])
                found.extend(engine.jobs.load_instances(*part).values())
        taken = sum(map(len, ranges))
        left, is_cut = left - taken, is_cut or taken < total
    return found, is_cut


def _end_of(record: StepRecord) -> datetime | None:
    return (record.completed_at or record.started_at) if record.status.is_terminal else None


def _since(record: StepRecord) -> float:
    return ((record.started_at or _LONG_AGO) - _LONG_AGO).total_seconds()
