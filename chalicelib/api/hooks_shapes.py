"""Webhooks and deliveries as JSON."""

from __future__ import annotations

from typing import Any

from chalicelib.api.bodies import Query
from chalicelib.api.shapes import MaybeNumber, MaybeText, Shape, Stamp
from chalicelib.domain.job import Job
from chalicelib.engine.notifications import DeliveryView
from chalicelib.engine.webhooks import Hook

MAX_WAIT_S = 300


class HookStarted(Shape):
    """The job that a call started."""

    job_id: str
    trigger: str
    task: str


class HookJob(HookStarted):
    """A job of a webhook; `output` is null until it has ended.

    `wait` is the address at which to wait on.
    """

    status: str
    output: Any
    wait: MaybeText


class HookWaitQuery(Query):
    """Whether to wait for the end, and for how many seconds in all calls together."""

    wait: bool = False
    timeout: int = 30


class TryShape(Shape):
    """One try: the status that was answered, or why it failed."""

    at: Stamp
    status: MaybeNumber
    error: MaybeText


class DeliveryShape(Shape):
    """What is told outside of a job's end. `to` has no path: that may be secret."""

    delivery_id: str
    to: str
    state: str
    created_at: Stamp
    next_try_at: Stamp | None
    tries: list[TryShape]


class DeliveryList(Shape):
    """All deliveries of a job."""

    items: list[DeliveryShape]


def started_of(hook: Hook, job: Job) -> HookStarted:
    """Return what an asynchronous call is answered with."""
    return HookStarted(job_id=job.job_id, trigger=hook.trigger.key, task=job.task)


def delivery_shape(view: DeliveryView) -> DeliveryShape:
    """Return a delivery."""
    one = view.delivery
    return DeliveryShape(
        delivery_id=one.delivery_id,
        to=view.place,
        state=one.state.value,
        created_at=one.created_at,
        next_try_at=one.due,
        tries=[TryShape(at=t.at, status=t.status, error=t.error) for t in one.tries],
    )
