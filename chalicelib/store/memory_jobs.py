"""The job store in memory: for tests, the simulator and `stroem run`.

It keeps the rules of the table's adapter to the letter; one contract suite holds for both.
Not safe for threads by itself: wrap it, or use it from one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.errors import ConflictError, FencedError, NotFoundError, TooEarlyError
from chalicelib.domain.job import AfterAction, Job, JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Claim, JobFilter, ListPosition, StepEnd, StepRetry

TALLIED = 10_000


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

    def claim_step(self, claim: Claim) -> StepRecord:
        record = self._record(claim.ref)
        if record is not None and record.lease == claim.lease:
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
        )
        return self._put(end.ref, ended)

    def retry_step(self, retry: StepRetry) -> StepRecord:
        record = self._record(retry.ref)
        if record is not None and record.nonce == retry.nonce:
            return record
        record = held(record, retry.ref, retry.past.attempt, retry.lease)
        waiting = StepRecord(
            step=record.step,
            status=StepStatus.READY,
            attempt=record.attempt + 1,
            nonce=retry.nonce,
            retry_at=retry.retry_at,
            history=(*record.history, retry.past),
        )
        return self._put(retry.ref, waiting)

    def start(self, job_id: str, at: datetime) -> None:
        job = self.get(job_id)
        if job.status is JobStatus.PENDING:
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
        after = job.after - {action}
        self._jobs[job_id] = replace(job, after=after, due=job.due if after else None)

    def postpone(self, job_id: str, due: datetime, looks: int) -> None:
        job = self.get(job_id)
        if job.due is not None:
            self._jobs[job_id] = replace(job, due=due, looks=looks)

    def due(self, now: datetime, limit: int) -> list[str]:
        waiting = ((job.due, job.job_id) for job in self._jobs.values() if job.due)
        return [job_id for due, job_id in sorted(waiting) if due <= now][:limit]

    def page(self, wanted: JobFilter, after: ListPosition | None, limit: int) -> list[Job]:
        newest = sorted(self._matching(wanted), key=_place, reverse=True)
        if after is not None:
            newest = [job for job in newest if _place(job) < (after.created_at, after.job_id)]
        return newest[:limit]

    def tally(self, wanted: JobFilter) -> Mapping[JobStatus, int]:
        return Counter(job.status for job in self._matching(wanted))

    def _matching(self, wanted: JobFilter) -> Iterable[Job]:
        return (job for job in self._jobs.values() if matches(job, wanted))

    def _record(self, ref: StepRef) -> StepRecord | None:
        return self._steps.get(ref.job_id, {}).get(ref.step)

    def _put(self, ref: StepRef, record: StepRecord) -> StepRecord:
        self._steps.setdefault(ref.job_id, {})[ref.step] = record
        return record


def refuse_claim(claim: Claim, record: StepRecord | None) -> None:
    """Raise unless the claim is allowed on what stands there.

    Raises:
        TooEarlyError: only the time of the retry has not come.
        ConflictError: the attempt is held, has ended, or is not the next.
    """
    step = f"step {claim.ref.step!r} of job {claim.ref.job_id}"
    if record is None:
        if claim.attempt != 1:
            raise ConflictError(f"{step} has not begun, so attempt {claim.attempt} is not next")
        return
    if record.status is not StepStatus.READY or record.attempt != claim.attempt:
        raise ConflictError(
            f"{step} is {record.status} at attempt {record.attempt}: "
            f"attempt {claim.attempt} is not to be had"
        )
    if record.retry_at is not None and record.retry_at > claim.at:
        raise TooEarlyError(f"{step} waits for its retry at {record.retry_at.isoformat()}")


def held(record: StepRecord | None, ref: StepRef, attempt: int, lease: str) -> StepRecord:
    """Return the record if the lease holds it.

    Raises:
        FencedError: it does not: another attempt, worker or the sweep was there.
    """
    if (
        record is None
        or record.status is not StepStatus.RUNNING
        or record.attempt != attempt
        or record.lease != lease
    ):
        now = f"{record.status} at attempt {record.attempt}" if record else "not begun"
        raise FencedError(
            f"step {ref.step!r} of job {ref.job_id} is {now}: "
            f"this lease of attempt {attempt} does not hold it"
        )
    return record


def matches(job: Job, wanted: JobFilter) -> bool:
    """Say whether the job belongs into the list."""
    searched = (job.task, job.workspace, job.source_id or "", job.job_id)
    return (
        job.workspace in wanted.workspaces
        and wanted.task in (None, job.task)
        and wanted.status in (None, job.status)
        and wanted.source_type in (None, job.source_type)
        and any(wanted.search.lower() in text.lower() for text in searched)
    )


def _place(job: Job) -> tuple[datetime, str]:
    return (job.created_at, job.job_id)
