"""The moves of a step record, as DynamoDB is told them: what is written, and what must hold.

By `nonce` a writer whose reply was lost recognises its own work; a halt is recognised by itself.
Source: protocol, "Moves"; state machines, section 3.1.
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import NO_PAYLOAD
from chalicelib.engine.ports import Claim, StepEnd, StepRetry
from chalicelib.store.attributes import dump_past
from chalicelib.store.claims import never_begins
from chalicelib.store.dynamo import VERSION
from chalicelib.store.jobs_items import JobItem


def claiming(item: type[JobItem], claim: Claim) -> tuple[list[Action], Condition]:
    """Return how an attempt becomes running under the claim's lease, and when it may."""
    # An attempt may be claimed when it is the one that waits, and its time has come …
    is_next = (item.status == StepStatus.READY.value) & (item.attempt == claim.attempt)
    is_time = item.retry_at.does_not_exist() | (item.retry_at <= claim.at)
    may_claim = is_next & is_time
    # … and the first one when the step was never touched.
    if claim.attempt == 1:
        may_claim = item.pk.does_not_exist() | may_claim
    actions: list[Action] = [
        item.v.set(VERSION),
        item.status.set(StepStatus.RUNNING.value),
        item.attempt.set(claim.attempt),
        item.nonce.set(claim.lease),
        item.lease.set(claim.lease),
        item.session.set(claim.session),
        item.worker.set(claim.worker),
        item.started_at.set(claim.at),
        item.retry_at.remove(),
    ]
    return actions, may_claim


def held_by(item: type[JobItem], attempt: int, lease: str) -> Condition:
    """Return what holds while the lease has the attempt running."""
    is_running = item.status == StepStatus.RUNNING.value
    is_held: Condition = is_running & (item.attempt == attempt) & (item.lease == lease)
    return is_held


def ending(item: type[JobItem], end: StepEnd) -> list[Action]:
    """Return how the running attempt ends; the lease stays, to tell whose end it was."""
    actions: list[Action] = [
        item.status.set(end.status.value),
        item.nonce.set(end.nonce),
        item.completed_at.set(end.at),
    ]
    if end.error is not None:
        actions.append(item.error.set(end.error))
    if end.output != NO_PAYLOAD:
        actions.append(item.output.set(end.output))
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
        # Status and attempt suffice: an attempt has one lease for ever.
        is_as_seen = (item.status == seen.status.value) & (item.attempt == seen.attempt)
        stands = is_as_seen & item.halted.does_not_exist()
        if seen.status is StepStatus.RUNNING:
            return [item.halted.set(True)], stands
    end = never_begins(step, seen, at)
    actions: list[Action] = [
        item.v.set(VERSION),
        item.status.set(end.status.value),
        item.attempt.set(end.attempt),
        item.nonce.set(end.nonce),
        item.completed_at.set(at),
        item.error.set(end.error or ""),
        item.halted.set(True),
        item.retry_at.remove(),
    ]
    return actions, stands


def sending_back(item: type[JobItem], retry: StepRetry) -> list[Action]:
    """Return how the running attempt becomes history, and the next one waits for its time."""
    return [
        item.status.set(StepStatus.READY.value),
        item.attempt.set(retry.past.attempt + 1),
        item.nonce.set(retry.nonce),
        item.retry_at.set(retry.retry_at),
        item.history.set((item.history | []).append([dump_past(retry.past)])),
        item.lease.remove(),
        item.session.remove(),
        item.worker.remove(),
        item.started_at.remove(),
    ]
