"""The moves of a record, as DynamoDB is told them: what is written, and what must hold.

By `nonce` a writer whose reply was lost recognises its own work; a halt is recognised by itself.
What a move leaves behind is said in `claims`, for all stores. Source: protocol, "Moves".
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import NO_PAYLOAD
from chalicelib.engine.ports import Claim, StepBegin, StepEnd, StepRetry
from chalicelib.store.attributes import dump_past
from chalicelib.store.claims import (
    HOLDABLE,
    begun,
    claimed,
    ends_unheld,
    never_begins,
    sent_back,
)
from chalicelib.store.jobs_items import JobItem
from chalicelib.store.jobs_values import record_values


def beginning(item: type[JobItem], begin: StepBegin) -> tuple[list[Action], Condition]:
    """Return how what was decided of a step is written, and when it may be."""
    may_begin = (item.status == StepStatus.READY.value) & (item.attempt == begin.attempt)
    if not ends_unheld(begin):
        may_begin = may_begin & item.retry_at.exists()
    if begin.attempt == 1:
        may_begin = item.pk.does_not_exist() | may_begin
    return _replacing(item, begun(begin, None)), may_begin


def claiming(item: type[JobItem], claim: Claim) -> tuple[list[Action], Condition]:
    """Return how an attempt becomes running under the claim's lease, and when it may."""
    # An attempt may be claimed when it is the one that waits, and its time has come …
    is_next = (item.status == StepStatus.READY.value) & (item.attempt == claim.attempt)
    is_time = item.retry_at.does_not_exist() | (item.retry_at <= claim.at)
    may_claim = is_next & is_time
    # … and the first one when the step was never touched.
    if claim.attempt == 1:
        may_claim = item.pk.does_not_exist() | may_claim
    return _replacing(item, claimed(claim, None)), may_claim


def held_by(
    item: type[JobItem], attempt: int, lease: str, only: StepStatus | None = None
) -> Condition:
    """Return what holds while the lease has the attempt; with `only`, in that status."""
    in_hand = [status.value for status in ((only,) if only else HOLDABLE)]
    is_held: Condition = (
        item.status.is_in(*in_hand) & (item.attempt == attempt) & (item.lease == lease)
    )
    return is_held


def ending(item: type[JobItem], end: StepEnd) -> list[Action]:
    """Return how the attempt ends; the lease stays, to tell whose end it was."""
    actions: list[Action] = [
        item.status.set(end.status.value),
        item.nonce.set(end.nonce),
        item.completed_at.set(end.at),
        item.error.remove() if end.error is None else item.error.set(end.error),
        item.output.remove() if end.output == NO_PAYLOAD else item.output.set(end.output),
    ]
    if end.halted:
        actions.append(item.halted.set(True))
    return actions


def halting(
    item: type[JobItem], step: str, seen: StepRecord | None, at: datetime
) -> tuple[list[Action], Condition]:
    """Return how a step is kept from going on, where it still stands as it was seen.

    A running attempt keeps its nonce: its worker may still be looking for it.
    """
    stands: Condition = item.pk.does_not_exist()
    if seen is not None:
        is_as_seen = (item.status == seen.status.value) & (item.attempt == seen.attempt)
        # An attempt that was handed back has another lease later.
        has_lease = item.lease == seen.lease if seen.lease else item.lease.does_not_exist()
        stands = is_as_seen & has_lease & item.halted.does_not_exist()
        if seen.status is StepStatus.RUNNING:
            return [item.halted.set(True)], stands
    return _replacing(item, never_begins(step, seen, at)), stands


def sending_back(item: type[JobItem], retry: StepRetry) -> list[Action]:
    """Return how the attempt becomes history, and the next one waits for its time."""
    past: Action = item.history.set((item.history | []).append([dump_past(retry.past)]))
    return [*_replacing(item, sent_back(retry, None)), past]


def handing_back(item: type[JobItem], nonce: str) -> list[Action]:
    """Return how a running attempt becomes ready again, as if never claimed."""
    return [
        item.status.set(StepStatus.READY.value),
        item.nonce.set(nonce),
        item.lease.remove(),
        item.session.remove(),
        item.worker.remove(),
        item.started_at.remove(),
    ]


def _replacing(item: type[JobItem], record: StepRecord) -> list[Action]:
    """Return how the record takes the place of what stands there; only the history stays."""
    values = record_values(record)
    del values["history"]
    return [
        getattr(item, name).remove() if value is None else getattr(item, name).set(value)
        for name, value in values.items()
    ]
