"""The job store on DynamoDB.

Each move is one conditional write. A refusal is answered by one strong look at the item: the
caller's own nonce there means that an earlier try arrived and its reply was lost.
Source: protocol, "Moves"; state machines, section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.job import AfterAction, Job, JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, job_moves
from chalicelib.domain.logs import stamp
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Claim, JobFilter, ListPosition, StepEnd, StepRetry
from chalicelib.store import jobs_list, step_moves
from chalicelib.store.claims import halted, held, moved_on, refuse_claim
from chalicelib.store.dynamo import RefusedError, answering, bind
from chalicelib.store.jobs_items import JobItem, job_of, meta_values, step_of

_NOT_ENDED = tuple(status.value for status in JobStatus if job_moves(status))


class JobsTable:
    """Jobs and step records in one table; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(JobItem, name, region, host)

    def create(self, job: Job) -> Job:
        is_absent = self._item.pk.does_not_exist()
        try:
            with answering(self._name):
                self._item(**meta_values(job)).save(is_absent)
        except RefusedError:
            return self.get(job.job_id)
        return job

    def get(self, job_id: str) -> Job:
        item = self._look(keys.job_pk(job_id), keys.META)
        if item is None:
            raise NotFoundError(f"there is no job {job_id}")
        return job_of(item)

    def load(self, job_id: str) -> JobState:
        with answering(self._name):
            items = list(self._item.query(keys.job_pk(job_id), consistent_read=True))
        return _state_of(job_id, items)

    def load_steps(self, job_id: str, steps: Collection[str]) -> JobState:
        if not steps:
            return JobState(self.get(job_id))
        pk = keys.job_pk(job_id)
        wanted = [(pk, keys.META), *((pk, keys.step_sk(step)) for step in steps)]
        with answering(self._name):
            items = list(self._item.batch_get(wanted, consistent_read=True))
        return _state_of(job_id, items)

    def claim_step(self, claim: Claim) -> StepRecord:
        actions, may_claim = step_moves.claiming(self._item, claim)
        try:
            return self._move(claim.ref, actions, may_claim)
        except RefusedError:
            record = self._record(claim.ref)
        if record is not None and record.nonce == claim.lease:
            return record
        refuse_claim(claim, record)
        raise ConflictError(f"step {claim.ref.step!r} of job {claim.ref.job_id} is on the move")

    def end_step(self, end: StepEnd) -> StepRecord:
        actions = step_moves.ending(self._item, end)
        return self._leave(end.ref, end.attempt, end.lease, end.nonce, actions)

    def retry_step(self, retry: StepRetry) -> StepRecord:
        actions = step_moves.sending_back(self._item, retry)
        attempt = retry.past.attempt
        is_unhalted = self._item.halted.does_not_exist()
        return self._leave(retry.ref, attempt, retry.lease, retry.nonce, actions, is_unhalted)

    def halt_step(self, ref: StepRef, seen: StepRecord | None, at: datetime) -> None:
        actions, stands = step_moves.halting(self._item, ref.step, seen, at)
        try:
            self._move(ref, actions, stands)
        except RefusedError:
            record = self._record(ref)
            if record is None or not record.halted:
                raise moved_on(ref) from None

    def start(self, job_id: str, at: datetime) -> None:
        item = self._item
        is_pending = item.status == JobStatus.PENDING.value
        actions: list[Action] = [item.status.set(JobStatus.RUNNING.value), item.started_at.set(at)]
        self._try(job_id, actions, is_pending)

    def finish(
        self,
        job_id: str,
        status: JobStatus,
        at: datetime,
        nonce: str,
        after: frozenset[AfterAction],
    ) -> Job:
        item = self._item
        has_not_ended = item.status.is_in(*_NOT_ENDED)
        actions: list[Action] = [
            item.status.set(status.value),
            item.completed_at.set(at),
            item.nonce.set(nonce),
        ]
        if after:
            actions.append(item.after.set({action.value for action in after}))
        ended = self._try(job_id, actions, has_not_ended)
        if ended is not None:
            return ended
        job = self.get(job_id)
        if job.nonce == nonce:
            return job
        raise ConflictError(f"job {job_id} has ended already: it is {job.status}")

    def after_done(self, job_id: str, action: AfterAction) -> None:
        item = self._item
        # Each is one write, so that no crash leaves `due` behind the last action …
        is_last = item.after == {action.value}
        with_due: list[Action] = [item.after.remove(), item.due_pk.remove(), item.due_sk.remove()]
        # … nor takes it away from those that are left.
        is_one_of_several = item.after.contains(action.value) & ~is_last
        alone: list[Action] = [item.after.delete({action.value})]
        while not self._try(job_id, with_due, is_last):
            if self._try(job_id, alone, is_one_of_several):
                return
            if action not in self.get(job_id).after:
                return

    def postpone(self, job_id: str, due: datetime, looks: int) -> None:
        item = self._item
        is_due = item.due_pk.exists()
        self._try(job_id, [item.due_sk.set(stamp(due)), item.looks.set(looks)], is_due)

    def due(self, now: datetime, limit: int) -> list[str]:
        with answering(self._name):
            return jobs_list.due(self._item, now, limit)

    def page(self, wanted: JobFilter, after: ListPosition | None, limit: int) -> list[Job]:
        with answering(self._name):
            return jobs_list.page(self._item, wanted, after, limit)

    def tally(self, wanted: JobFilter) -> Mapping[JobStatus, int]:
        with answering(self._name):
            return jobs_list.tally(self._item, wanted)

    def _leave(
        self,
        ref: StepRef,
        attempt: int,
        lease: str,
        nonce: str,
        actions: list[Action],
        besides: Condition | None = None,
    ) -> StepRecord:
        """Take the step out of the hands of the lease that holds it.

        Raises:
            FencedError: that lease does not hold it.
            ConflictError: it does, but the step is halted, which `besides` excludes.
        """
        is_held = step_moves.held_by(self._item, attempt, lease)
        try:
            return self._move(ref, actions, is_held if besides is None else is_held & besides)
        except RefusedError:
            record = self._record(ref)
        if record is not None and record.nonce == nonce:
            return record
        held(record, ref, attempt, lease)
        raise halted(ref)

    def _move(self, ref: StepRef, actions: list[Action], condition: Condition) -> StepRecord:
        item = self._item(keys.job_pk(ref.job_id), keys.step_sk(ref.step))
        with answering(self._name):
            item.update(actions, condition)
        return step_of(item)

    def _try(self, job_id: str, actions: list[Action], condition: Condition) -> Job | None:
        """Return the META that the write made; None when it was refused."""
        item = self._item(keys.job_pk(job_id), keys.META)
        try:
            with answering(self._name):
                item.update(actions, condition)
        except RefusedError:
            return None
        return job_of(item)

    def _record(self, ref: StepRef) -> StepRecord | None:
        item = self._look(keys.job_pk(ref.job_id), keys.step_sk(ref.step))
        return None if item is None else step_of(item)

    def _look(self, pk: str, sk: str) -> JobItem | None:
        with answering(self._name):
            try:
                return self._item.get(pk, sk, consistent_read=True)
            except self._item.DoesNotExist:
                return None


def _state_of(job_id: str, items: Sequence[JobItem]) -> JobState:
    steps = (step_of(item) for item in items if item.sk != keys.META)
    for item in items:
        if item.sk == keys.META:
            return JobState(job_of(item), {record.step: record for record in steps})
    raise NotFoundError(f"there is no job {job_id}")
