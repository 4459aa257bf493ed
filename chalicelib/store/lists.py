"""Which jobs belong into a list: the rule that every job store keeps alike."""

from __future__ import annotations

from chalicelib.domain.job import Job
from chalicelib.engine.ports import JobFilter

TALLIED = 10_000


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
