"""The job store on DynamoDB: a job's META, and reads of it and what hangs on it.

Each write is conditional, and one item. A refusal is answered by one strong look at the item: the
caller's own nonce there means that an earlier try arrived and its reply was lost.
Source: protocol, "Moves"; state machines, section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import AfterAction, Job, JobState, Note
from chalicelib.domain.lifecycle import JobStatus, job_moves
from chalicelib.domain.logs import stamp
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import JobEnd, JobFilter, ListPosition
from chalicelib.store import jobs_list
from chalicelib.store.claims import MOST_RERUNS, has_ended
from chalicelib.store.dynamo import RefusedError, answering, fewer_than
from chalicelib.store.jobs_loops import LoopMoves
from chalicelib.store.jobs_steps import StepMoves
from chalicelib.store.jobs_values import job_of, meta_values, place_of, state_of

_NOT_ENDED = tuple(status.value for status in JobStatus if job_moves(status))


class JobsTable(StepMoves, LoopMoves):
    """Jobs and all that hangs on them in one table; safe for any number of threads."""

    def create(self, job: Job) -> Job:
        is_new = self._put_if_absent(self._item(**meta_values(job)))
        return job if is_new else self.get(job.job_id)

    def get(self, job_id: str) -> Job:
        item = self._look(keys.job_pk(job_id), keys.META)
        if item is None:
            raise NotFoundError(f"there is no job {job_id}")
        return job_of(item)

    def load(self, job_id: str) -> JobState:
        with answering(self._name):
            return state_of(job_id, self._item.query(keys.job_pk(job_id), consistent_read=True))

    def load_steps(self, job_id: str, steps: Collection[str]) -> JobState:
        if not steps:
            return JobState(self.get(job_id))
        wanted = {place_of(StepRef(job_id, step)) for step in steps}
        with answering(self._name):
            return state_of(
                job_id,
                self._item.batch_get(
                    [(keys.job_pk(job_id), keys.META), *sorted(wanted)], consistent_read=True
                ),
            )

    def start(self, job_id: str, at: datetime) -> None:
        item = self._item
        is_pending = item.status == JobStatus.PENDING.value
        actions: list[Action] = [item.status.set(JobStatus.RUNNING.value), item.started_at.set(at)]
        self._try(job_id, actions, is_pending)

    def finish(self, job_id: str, end: JobEnd) -> Job:
        item = self._item
        actions: list[Action] = [
            item.status.set(end.status.value),
            item.completed_at.set(end.at),
            item.nonce.set(end.nonce),
        ]
        if end.after:
            actions.append(item.after.set({action.value for action in end.after}))
        if end.reason is not None:
            actions.append(item.reason.set(end.reason))
        if end.retry_job is not None:
            actions.append(item.retry_job.set(end.retry_job))
        if end.killed:
            actions.append(item.killed.set(True))
        ended = self._try(job_id, actions, self._has_not_ended())
        if ended is not None:
            return ended
        job = self.get(job_id)
        if job.nonce == end.nonce:
            return job
        raise has_ended(job)

    def kill(self, job_id: str) -> None:
        is_cancelled = self._item.status == JobStatus.CANCELLED.value
        self._try(job_id, [self._item.killed.set(True)], is_cancelled)

    def admit(self, job_id: str, at: datetime) -> None:  # noqa: ARG002 - when is not kept
        self._try(job_id, [self._item.admitted.set(True)], self._has_not_ended())

    def pause(self, job_id: str, *, paused: bool) -> Job:
        item = self._item
        action = item.paused.set(True) if paused else item.paused.remove()
        job = self._try(job_id, [action], self._has_not_ended())
        if job is None:
            raise has_ended(self.get(job_id))
        return job

    def add_rerun(self, job_id: str, rerun: str) -> None:
        item = self._item
        has_room = item.reruns.does_not_exist() | fewer_than(MOST_RERUNS, item.reruns)
        if self._try(job_id, [item.reruns.add({rerun})], item.pk.exists() & has_room) is None:
            self.get(job_id)

    def tell(self, job_id: str, note: Note) -> None:
        sk = keys.note_sk(note.key)
        self._put_if_absent(self._item(keys.job_pk(job_id), sk, at=note.at, text=note.text))

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

    def watch(self, job_id: str, until: datetime) -> None:
        item = self._item
        is_shorter = item.watched_until.does_not_exist() | (item.watched_until < until)
        if self._try(job_id, [item.watched_until.set(until)], item.pk.exists() & is_shorter):
            return
        self.get(job_id)

    def unwatch(self, job_id: str, until: datetime) -> None:
        item = self._item
        self._try(job_id, [item.watched_until.remove()], item.watched_until == until)

    def pulse(self, job_id: str, at: datetime) -> None:
        item = self._item
        self._try(job_id, [item.pulse.set(at)], item.pk.exists())

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

    def _has_not_ended(self) -> Condition:
        condition: Condition = self._item.status.is_in(*_NOT_ENDED)
        return condition

    def _try(self, job_id: str, actions: list[Action], condition: Condition) -> Job | None:
        """Return the META that the write made; None when it was refused."""
        try:
            return job_of(self._change(keys.job_pk(job_id), keys.META, actions, condition))
        except RefusedError:
            return None
