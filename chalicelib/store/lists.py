"""Which jobs belong into a list, and what comes first: the rules that every store keeps alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.job import Job, Note
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.workflow import Priority
from chalicelib.engine.ports import JobFilter, Waiter

TALLIED = 10_000


def matches(job: Job, wanted: JobFilter) -> bool:
    """Say whether the job belongs into the list."""
    # Which job started another is not told to who sees a part only, so a search must not either.
    is_told = wanted.sees is None or job.source_type not in (SourceType.TASK, SourceType.HOOK)
    searched = (job.task, job.workspace, (is_told and job.source_id) or "", job.job_id)
    return (
        job.workspace in wanted.workspaces
        and wanted.task in (None, job.task)
        and wanted.status in (None, job.status)
        and wanted.source_type in (None, job.source_type)
        and any(wanted.search.lower() in text.lower() for text in searched)
        and (wanted.sees is None or wanted.sees(job))
    )


def in_order(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return a job's notes by time, then by key."""
    return tuple(sorted(notes, key=lambda note: (note.at, note.key)))


RANKS = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


def place_in_line(waiter: Waiter) -> tuple[int, datetime, str]:
    """Return what a line of waiting jobs is sorted by."""
    return (RANKS[waiter.priority], waiter.since, waiter.job_id)
