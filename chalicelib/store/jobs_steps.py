"""The moves of steps, and of instances of loops, on DynamoDB.

Each move is one conditional write. A refusal is answered by one strong look at the record: the
caller's own nonce there means that an earlier try arrived and its reply was lost.
Source: protocol, "Moves"; state machines, section 3.1.
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Claim, StepBegin, StepEnd, StepRetry
from chalicelib.store import step_moves
from chalicelib.store.claims import halted, held, moved_on, refuse_begin, refuse_claim
from chalicelib.store.dynamo import RefusedError
from chalicelib.store.jobs_base import JobsBase
from chalicelib.store.jobs_values import place_of


class StepMoves(JobsBase):
    """What moves one record."""

    def begin_step(self, begin: StepBegin) -> StepRecord:
        actions, may_begin = step_moves.beginning(self._item, begin)
        try:
            return self._move(begin.ref, actions, may_begin)
        except RefusedError:
            record = self._record(begin.ref)
        if record is not None and record.nonce == begin.nonce:
            return record
        refuse_begin(begin, record)
        raise _on_the_move(begin.ref)

    def claim_step(self, claim: Claim) -> StepRecord:
        actions, may_claim = step_moves.claiming(self._item, claim)
        try:
            return self._move(claim.ref, actions, may_claim)
        except RefusedError:
            record = self._record(claim.ref)
        if record is not None and record.nonce == claim.lease:
            return record
        refuse_claim(claim, record)
        raise _on_the_move(claim.ref)

    def end_step(self, end: StepEnd) -> StepRecord:
        is_held = step_moves.held_by(self._item, end.attempt, end.lease)
        actions = step_moves.ending(self._item, end)
        try:
            return self._move(end.ref, actions, is_held)
        except RefusedError:
            return self._not_held(end.ref, end.attempt, end.lease, end.nonce)

    def retry_step(self, retry: StepRetry) -> StepRecord:
        attempt = retry.past.attempt
        is_held = step_moves.held_by(self._item, attempt, retry.lease)
        actions = step_moves.sending_back(self._item, retry)
        try:
            return self._move(retry.ref, actions, is_held & self._is_unhalted())
        except RefusedError:
            return self._not_held(retry.ref, attempt, retry.lease, retry.nonce)

    def hand_back(self, ref: StepRef, attempt: int, lease: str, nonce: str) -> StepRecord:
        only = StepStatus.RUNNING
        is_held = step_moves.held_by(self._item, attempt, lease, only)
        actions = step_moves.handing_back(self._item, nonce)
        try:
            return self._move(ref, actions, is_held & self._is_unhalted())
        except RefusedError:
            return self._not_held(ref, attempt, lease, nonce, only)

    def told(self, ref: StepRef) -> None:
        actions: list[Action] = [self._item.tell.remove()]
        try:
            self._change(*place_of(ref), actions, self._item.tell.exists())
        except RefusedError:
            return

    def halt_step(self, ref: StepRef, seen: StepRecord | None, at: datetime) -> None:
        if seen is not None and seen.status.is_terminal:
            raise moved_on(ref)
        actions, stands = step_moves.halting(self._item, ref.step, seen, at)
        try:
            self._move(ref, actions, stands)
        except RefusedError:
            record = self._record(ref)
            if record is None or not record.halted:
                raise moved_on(ref) from None

    def _not_held(
        self,
        ref: StepRef,
        attempt: int,
        lease: str,
        nonce: str,
        only: StepStatus | None = None,
    ) -> StepRecord:
        """Return the record if the refused write of this nonce was made after all.

        Raises:
            FencedError: the lease does not hold the attempt.
            ConflictError: it does, but the step is halted.
        """
        record = self._record(ref)
        if record is not None and record.nonce == nonce:
            return record
        held(record, ref, attempt, lease, only)
        raise halted(ref)

    def _is_unhalted(self) -> Condition:
        condition: Condition = self._item.halted.does_not_exist()
        return condition


def _on_the_move(ref: StepRef) -> ConflictError:
    return ConflictError(f"step {ref.step!r} of job {ref.job_id} is on the move")
