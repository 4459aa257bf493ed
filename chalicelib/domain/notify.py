"""Who outside is told of a job's end, and how often it is tried.

One rule: a delivery keeps its id through all tries, so that whoever is told twice can tell.
Source: security, S7; Standard Webhooks 1.0; CloudEvents 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.hooks import is_top_level, makes_no_more
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Definition, Notify, Task

KEPT = timedelta(days=30)
LEASE = timedelta(seconds=90)
MAX_TRIES_KEPT = 20
# After the first try: eight more within 28 hours.
_DELAYS_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000)
_JITTER = 0.2
_EVENT = "io.stroem.job.{status}.v1"
_GONE = 410
_GOOD = range(200, 300)


class DeliveryState(StrEnum):
    """Where a delivery stands. `FAILED`: it is not tried any more."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try: the status that was answered, or why none was."""

    at: datetime
    status: int | None = None
    error: str | None = None

    @property
    def is_good(self) -> bool:
        """Say whether it was taken."""
        return self.error is None and (self.status is None or self.status in _GOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is told of one job's end to one of its notifications, `number` of them from 0.

    `round` counts the tries since the delivery was wanted (again); `due` is when the next one is,
    None when there is none. `nonce` is that of the last write.
    """

    job_id: str
    delivery_id: str
    number: int
    created_at: datetime
    nonce: str
    state: DeliveryState = DeliveryState.PENDING
    due: datetime | None = None
    round: int = 0
    tries: tuple[Try, ...] = ()


def notify_of(definition: Definition, task: Task, job: Job) -> tuple[Notify, ...]:
    """Return whom the job's end may concern. A task's own list replaces the workspace's.

    As with hooks, what a hook made tells nobody.
    """
    if makes_no_more(job):
        return ()
    if task.notify is not None:
        return task.notify
    return (definition.notify or ()) if is_top_level(job) else ()


def told_of(
    definition: Definition, task: Task, job: Job, status: JobStatus
) -> tuple[tuple[int, Notify], ...]:
    """Return those that are told when the job ends so, with their numbers."""
    wanted = enumerate(notify_of(definition, task, job))
    return tuple((number, one) for number, one in wanted if status.value in one.on)


def begun(delivery: Delivery, now: datetime, nonce: str) -> Delivery:
    """Return the delivery as it is while it is tried: nobody else tries before `due`."""
    return replace(delivery, due=now + LEASE, round=delivery.round + 1, nonce=nonce)


def tried(delivery: Delivery, one: Try, nonce: str, draw: float, *, final: bool) -> Delivery:
    """Return the delivery after a try. `draw`, from 0 up to 1, spreads the next one.

    With `final` a failure is the last: trying again would change nothing.
    """
    tries = (*delivery.tries, one)[-MAX_TRIES_KEPT:]
    after = replace(delivery, tries=tries, nonce=nonce, due=None)
    if one.is_good:
        return replace(after, state=DeliveryState.DELIVERED)
    if final or one.status == _GONE or delivery.round > len(_DELAYS_S):
        return replace(after, state=DeliveryState.FAILED)
    delay_s = _DELAYS_S[delivery.round - 1] * (1 + _JITTER * draw)
    return replace(after, due=one.at + timedelta(seconds=delay_s))


def again(delivery: Delivery, now: datetime, nonce: str) -> Delivery:
    """Return the delivery as it is when it is wanted anew."""
    return replace(delivery, state=DeliveryState.PENDING, due=now, round=0, nonce=nonce)


def event(job: Job, delivery_id: str, at: str, data: JsonObject) -> JsonObject:
    """Return what is told, as a CloudEvent. `at` is when the job ended."""
    return {
        "specversion": "1.0",
        "id": delivery_id,
        "source": f"/workspaces/{job.workspace}/tasks/{job.task}",
        "type": _EVENT.format(status=job.status.value),
        "subject": job.job_id,
        "time": at,
        "datacontenttype": "application/json",
        "data": data,
    }
