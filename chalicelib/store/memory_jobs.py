"""The job store in memory: for tests, the simulator and `stroem run`.

It keeps the rules of the table's adapter to the letter; one contract suite holds for both.
Not safe for threads by itself: wrap it, or use it from one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.job import AfterAction, Job, JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.values import NO_PAYLOAD, StepRef
from chalicelib.engine.ports import Claim, JobFilter, ListPosition, StepEnd, StepRetry
from chalicelib.store.claims import halted, held, moved_on, never_begins, refuse_claim
from chalicelib.store.lists import TALLIED, matches


class MemoryJobs:
    """Jobs and step records in two dictionaries."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._steps: dict[str, dict[str, StepRecord]] = {}

    def create(self, job: Job) -> Job:
        return self._jobs.setdefault(job.job_id, job)

    def get(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"there is no job {job_id}")
        return job

    def load(self, job_id: str) -> JobState:
        return JobState(self.get(job_id), dict(self._steps.get(job_id, {})))

    def load_steps(self, job_id: str, steps: Collection[str]) -> JobState:
        state = self.load(job_id)
        return JobState(state.job, {key: r for key, r in state.steps.items() if key in steps})

    def claim_step(self, claim: Claim) -> StepRecord:
        record = self._record(claim.ref)
        if record is not None and record.nonce == claim.lease:
            return record
        refuse_claim(claim, record)
        return self._put(
            claim.ref,
            StepRecord(
                step=claim.ref.step,
                status=StepStatus.RUNNING,
                attempt=claim.attempt,
                nonce=claim.lease,
                lease=claim.lease,
                session=claim.session,
                worker=claim.worker,
                started_at=claim.at,
                history=record.history if record else (),
            ),
        )

    def end_step(self, end: StepEnd) -> StepRecord:
        record = self._record(end.ref)
        if record is not None and record.nonce == end.nonce:
            return record
        record = held(record, end.ref, end.attempt, end.lease)
        ended = replace(
            record,
            status=end.status,
            nonce=end.nonce,
            completed_at=end.at,
            error=end.error,
            output=end.output,
            halted=record.halted or end.halted,
        )
        return self._put(end.ref, ended)

    def retry_step(self, retry: StepRetry) -> StepRecord:
        record = self._record(retry.ref)
        if record is not None and record.nonce == retry.nonce:
            return record
        record = held(record, retry.ref, retry.past.attempt, retry.lease)
        if record.halted:
            raise halted(retry.ref)
        waiting = StepRecord(
            step=record.step,
            status=StepStatus.READY,
            attempt=record.attempt + 1,
            nonce=retry.nonce,
            retry_at=retry.retry_at,
            history=(*record.history, retry.past),
        )
        return self._put(retry.ref, waiting)

    def halt_step(self, ref: StepRef, seen: StepRecord | None, at: datetime) -> None:
        record = self._record(ref)
        if record is not None and record.halted:
            return
        if _standing(record) != _standing(seen):
            raise moved_on(ref)
        if record is not None and record.status is StepStatus.RUNNING:
            self._put(ref, replace(record, halted=True))
        else:
            self._put(ref, never_begins(ref.step, record, at))

    def start(self, job_id: str, at: datetime) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.status is JobStatus.PENDING:
            self._jobs[job_id] = replace(job, status=JobStatus.RUNNING, started_at=at)

    def finish(
        self,
        job_id: str,
        status: JobStatus,
        at: datetime,
        nonce: str,
        after: frozenset[AfterAction],
    ) -> Job:
        job = self.get(job_id)
        if job.status.is_terminal:
            if job.nonce == nonce:
                return job
            raise ConflictError(f"job {job_id} has ended already: it is {job.status}")
        ended = replace(job, status=status, completed_at=at, nonce=nonce, after=after)
        self._jobs[job_id] = ended
        return ended

    def after_done(self, job_id: str, action: AfterAction) -> None:
        job = self.get(job_id)
        if action not in job.after:
            return
        after = job.after - {action}
        self._jobs[job_id] = replace(job, after=after, due=job.due if after else None)

    def postpone(self, job_id: str, due: datetime, looks: int) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.due is not None:
            self._jobs[job_id] = replace(job, due=due, looks=looks)

    def due(self, now: datetime, limit: int) -> list[str]:
        waiting = ((job.due, job.job_id) for job in self._jobs.values() if job.due)
        return [job_id for due, job_id in sorted(waiting) if due <= now][:limit]

    def page(self, wanted: JobFilter, after: ListPosition | None, limit: int) -> list[Job]:
        found = (
            _row(job)
            for workspace in set(wanted.workspaces)
            for job in self._newest(workspace)
            if matches(job, wanted)
            and (after is None or _place(job) < (after.created_at, after.job_id))
        )
        return sorted(found, key=_place, reverse=True)[:limit]

    def tally(self, wanted: JobFilter) -> Mapping[JobStatus, int]:
        return Counter(
            job.status
            for workspace in set(wanted.workspaces)
            for job in self._newest(workspace)[:TALLIED]
            if matches(job, wanted)
        )

    def _newest(self, workspace: str) -> list[Job]:
        own = (job for job in self._jobs.values() if job.workspace == workspace)
        return sorted(own, key=_place, reverse=True)

    def _record(self, ref: StepRef) -> StepRecord | None:
        return self._steps.get(ref.job_id, {}).get(ref.step)

    def _put(self, ref: StepRef, record: StepRecord) -> StepRecord:
        self._steps.setdefault(ref.job_id, {})[ref.step] = record
        return record


def _standing(record: StepRecord | None) -> tuple[StepStatus, int, str | None] | None:
    return None if record is None else (record.status, record.attempt, record.lease)


def _place(job: Job) -> tuple[datetime, str]:
    return (job.created_at, job.job_id)


def _row(job: Job) -> Job:
    """Return the job as a row of the list shows it."""
    return replace(
        job,
        input=NO_PAYLOAD,
        secret_input=None,
        request_hash=None,
        due=None,
        looks=0,
        after=frozenset(),
        nonce="",
    )
