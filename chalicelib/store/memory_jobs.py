"""The job store in memory: for tests, the simulator and `stroem run`.

It keeps the rules of the table's adapter to the letter; one contract suite holds for both.
Not safe for threads by itself: wrap it, or use it from one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import AfterAction, Job, JobState, Note
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.values import NO_PAYLOAD, StepRef
from chalicelib.engine.ports import JobEnd, JobFilter, ListPosition, SeedRecords
from chalicelib.store.claims import MOST_RERUNS, has_ended
from chalicelib.store.lists import TALLIED, in_order, matches
from chalicelib.store.memory_steps import MemorySteps


class MemoryJobs(MemorySteps):
    """Jobs, and what hangs on each, in one dictionary a kind."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Job] = {}
        self._notes: dict[str, dict[str, Note]] = {}

    def create(self, job: Job) -> Job:
        return self._jobs.setdefault(job.job_id, job)

    def get(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"there is no job {job_id}")
        return job

    def load(self, job_id: str) -> JobState:
        return JobState(
            self.get(job_id),
            dict(self._steps.get(job_id, {})),
            {step: dict(groups) for step, groups in self._loops.get(job_id, {}).items()},
            in_order(self._notes.get(job_id, {}).values()),
        )

    def load_steps(self, job_id: str, steps: Collection[str]) -> JobState:
        found = ((step, self._record(StepRef(job_id, step))) for step in steps)
        return JobState(self.get(job_id), {step: record for step, record in found if record})

    def start(self, job_id: str, at: datetime) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.status is JobStatus.PENDING:
            self._jobs[job_id] = replace(job, status=JobStatus.RUNNING, started_at=at)

    def finish(self, job_id: str, end: JobEnd) -> Job:
        job = self.get(job_id)
        if job.status.is_terminal:
            if job.nonce == end.nonce:
                return job
            raise has_ended(job)
        ended = replace(
            job,
            status=end.status,
            completed_at=end.at,
            nonce=end.nonce,
            after=end.after,
            reason=end.reason,
            retry_job=end.retry_job,
            killed=end.killed,
        )
        self._jobs[job_id] = ended
        return ended

    def kill(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.status is JobStatus.CANCELLED:
            self._jobs[job_id] = replace(job, killed=True)

    def admit(self, job_id: str, at: datetime) -> None:  # noqa: ARG002 - when is not kept
        job = self._jobs.get(job_id)
        if job is not None and not job.status.is_terminal:
            self._jobs[job_id] = replace(job, admitted=True)

    def pause(self, job_id: str, *, paused: bool) -> Job:
        job = self.get(job_id)
        if job.status.is_terminal:
            raise has_ended(job)
        self._jobs[job_id] = replace(job, paused=paused)
        return self._jobs[job_id]

    def seed(self, job_id: str, records: SeedRecords) -> None:
        self._take_over(job_id, records)
        self._jobs[job_id] = replace(self.get(job_id), is_seeded=True)

    def add_rerun(self, job_id: str, rerun: str) -> None:
        job = self.get(job_id)
        if len(job.reruns) < MOST_RERUNS:
            self._jobs[job_id] = replace(job, reruns=job.reruns | {rerun})

    def tell(self, job_id: str, note: Note) -> None:
        self._notes.setdefault(job_id, {}).setdefault(note.key, note)

    def after_done(self, job_id: str, action: AfterAction) -> None:
        job = self.get(job_id)
        if action not in job.after:
            return
        after = job.after - {action}
        self._jobs[job_id] = replace(job, after=after, due=job.due if after else None)

    def watch(self, job_id: str, until: datetime) -> None:
        job = self.get(job_id)
        if job.watched_until is None or job.watched_until < until:
            self._jobs[job_id] = replace(job, watched_until=until)

    def unwatch(self, job_id: str, until: datetime) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.watched_until == until:
            self._jobs[job_id] = replace(job, watched_until=None)

    def pulse(self, job_id: str, at: datetime) -> None:
        if job_id in self._jobs:
            self._jobs[job_id] = replace(self._jobs[job_id], pulse=at)

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
        parent=None,
        from_hook=False,
        slots=(),
        admitted=False,
        reason=None,
        seed=None,
        is_seeded=False,
        reruns=frozenset(),
    )
