"""Tell somebody outside of a job's end: note what is to be told with the end, send it later.

One rule: whoever ends a job only writes records; the tick sends, so no worker waits for a
stranger. Source: security, S7.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from chalicelib.domain import notify
from chalicelib.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    StroemError,
    TemplateError,
)
from chalicelib.domain.job import Job, JobState
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.notify import Delivery, DeliveryState, Try
from chalicelib.domain.workflow import Notify
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.attempts import clipped
from chalicelib.engine.delivering import deliver, errand, shown_place
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.making import derived_id

BATCH = 50
BUDGET = timedelta(seconds=20)
# So often a place may give no answer in one pass; the rest of what it is told waits a minute.
_OPENS_AT = 3
_PAUSE = timedelta(minutes=1)


@dataclass(slots=True)
class Sending:
    """What one pass did: deliveries that were taken, that failed, and that were put off."""

    delivered: int = 0
    failed: int = 0
    postponed: int = 0
    silent: dict[str, int] = field(default_factory=dict)

    @property
    def had_work(self) -> bool:
        """Say whether there was anything to do."""
        return self.delivered + self.failed + self.postponed > 0


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery for people, and what may be shown of where it goes."""

    delivery: Delivery
    place: str


def of_end(plan: Plan, job: Job, status: JobStatus) -> tuple[tuple[int, Notify], ...]:
    """Return who is told when the job ends so."""
    return notify.told_of(plan.definition, plan.task, job, status)


def enqueue(engine: Engine, _agenda: Agenda, plan: Plan, state: JobState) -> bool:
    """Note what is to be told of the ended job; say that it is done."""
    job, now = state.job, engine.clock.now()
    for number, _ in of_end(plan, job, job.status):
        engine.deliveries.add(
            Delivery(
                job_id=job.job_id,
                delivery_id=derived_id(job.job_id, "notify", str(number)),
                number=number,
                created_at=now,
                nonce=engine.ids.nonce(),
                due=now,
            )
        )
    return True


def send_due(engine: Engine) -> Sending:
    """Try what is due, for about 20 s; what is left over comes next time."""
    done, began = Sending(), engine.clock.now()
    for job_id, delivery_id in engine.deliveries.due(began, BATCH):
        if engine.clock.now() - began > BUDGET:
            break
        try:
            _send(engine, done, engine.deliveries.get(job_id, delivery_id))
        except (ConflictError, NotFoundError):
            # Another pass has it, it was wanted anew, or it is over its time.
            continue
        except StroemError:
            done.failed += 1
    return done


def views(engine: Engine, job_id: str) -> list[DeliveryView]:
    """Return what was, and is to be, told of the job's end. Raises NotFoundError."""
    job = engine.jobs.get(job_id)
    plan = engine.plan_of(job)
    told = notify.notify_of(plan.definition, plan.task, job)
    return [
        DeliveryView(one, shown_place(told[one.number]) if one.number < len(told) else "")
        for one in engine.deliveries.of_job(job.job_id)
    ]


def redeliver(engine: Engine, job_id: str, delivery_id: str) -> DeliveryView:
    """Have the delivery sent again, under its own id, at the next tick.

    Raises:
        NotFoundError: the job has no such delivery.
        ConflictError: it is being sent right now.
    """
    found = engine.deliveries.get(job_id, delivery_id)
    wanted = notify.again(found, engine.clock.now(), engine.ids.nonce())
    engine.deliveries.replace(wanted, found)
    return DeliveryView(wanted, _place(engine, wanted))


def _send(engine: Engine, done: Sending, found: Delivery) -> None:
    now, ids = engine.clock.now(), engine.ids
    if found.state is not DeliveryState.PENDING or found.due is None or found.due > now:
        return
    # Taken before anything else is looked at: what cannot be looked at keeps nothing else back.
    begun = notify.begun(found, now, ids.nonce())
    engine.deliveries.replace(begun, found)
    place = _place(engine, begun)
    if done.silent.get(place, 0) >= _OPENS_AT:
        later = replace(begun, round=found.round, due=now + _PAUSE, nonce=ids.nonce())
        engine.deliveries.replace(later, begun)
        done.postponed += 1
        return
    one, is_final = _tried(engine, begun)
    after = notify.tried(begun, one, ids.nonce(), ids.draw(), final=is_final)
    engine.deliveries.replace(after, begun)
    if one.is_good:
        done.delivered += 1
        return
    done.failed += 1
    if one.status is None:
        done.silent[place] = done.silent.get(place, 0) + 1


def _place(engine: Engine, delivery: Delivery) -> str:
    try:
        return errand(engine, delivery).place
    except StroemError:
        return ""


def _tried(engine: Engine, delivery: Delivery) -> tuple[Try, bool]:
    """Try once; return how it went, and whether trying again would change nothing."""
    try:
        status = deliver(engine, errand(engine, delivery))
    except StroemError as error:
        one = Try(at=engine.clock.now(), error=clipped(error.message))
        return one, _is_final(error)
    return Try(at=engine.clock.now(), status=status), False


def _is_final(error: StroemError) -> bool:
    # A secret that is not there now may be there later.
    final = InvalidError | PermissionDeniedError | NotFoundError
    return isinstance(error, final) and not isinstance(error, TemplateError)
