"""Read use cases: lists of jobs, how many there are, and their logs. One job is `queries_jobs`'s.

One rule: nothing is written but that somebody looks on, and secrets never leave here.
Source: HTTP API, section 4.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from chalicelib.domain.errors import InvalidError, NotFoundError, StroemError
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.logs import SERVER_STEP
from chalicelib.domain.loops import flow_key
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Engine
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.ports import JobFilter, ListPosition
from chalicelib.engine.redaction import redactor_for
from chalicelib.engine.watching import keep_watched

DEEPEST_OFFSET = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs a list shows: `workspace` None means all.

    With `rights`, only those that are not hidden from who asks.
    """

    workspace: str | None = None
    task: str | None = None
    status: JobStatus | None = None
    source_type: SourceType | None = None
    search: str = ""
    rights: Rights | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Rows of a list, and the place behind the last when there are more.

    `retries` says of the jobs that belong to a chain of tries how often their task is tried again.
    """

    jobs: tuple[Job, ...]
    next: ListPosition | None
    retries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LogPart:
    """Lines of a log, and the number of lines up to their end; `more` says that others follow."""

    lines: tuple[str, ...]
    next: int
    more: bool


def job_page(engine: Engine, query: JobQuery, after: ListPosition | None, limit: int) -> JobPage:
    """Return up to `limit` jobs behind the position, newest first."""
    found = engine.jobs.page(_filter(engine, query), after, limit + 1)
    rows = tuple(found[:limit])
    last = ListPosition(rows[-1].created_at, rows[-1].job_id) if len(found) > limit else None
    return JobPage(rows, last, _retries(engine, rows))


def job_rows(engine: Engine, query: JobQuery, offset: int, limit: int) -> tuple[JobPage, int]:
    """Return a page by offset, and how many jobs there are in all (newest 10,000 a workspace).

    Raises:
        InvalidError: the offset is too deep; a cursor goes further.
    """
    if offset > DEEPEST_OFFSET:
        raise InvalidError(f"offset is over {DEEPEST_OFFSET}: follow next_cursor instead")
    page = job_page(engine, query, None, offset + limit)
    rows = page.jobs[offset:]
    if page.next is None:
        return JobPage(rows, None, page.retries), len(page.jobs)
    return JobPage(rows, page.next, page.retries), sum(job_counts(engine, query).values())


def job_counts(engine: Engine, query: JobQuery) -> Mapping[JobStatus, int]:
    """Return how many jobs have each status; a status that none has may be missing."""
    return engine.jobs.tally(_filter(engine, query))


def log_part(engine: Engine, job_id: str, step: str | None, after: int, max_bytes: int) -> LogPart:
    """Return the log's lines behind the first `after`, up to `max_bytes` of JSON; at least one.

    Who reads the log of a job that goes on watches it, so that more of it comes within seconds.

    Raises:
        NotFoundError: no such job or step.
    """
    job = engine.jobs.get(job_id)
    plan = engine.plan_of(job)
    if step is not None and step != SERVER_STEP and flow_key(step) not in plan.flow.steps:
        raise NotFoundError(f"job {job_id} has no step {step!r}")
    keep_watched(engine, job)
    redactor = redactor_for(engine, job, plan.definition)
    lines: list[str] = []
    size = 0
    for line in read_log(engine, job_id, step, after):
        text = redactor.log_line(line)
        size += len(json.dumps(text))
        if lines and size > max_bytes:
            return LogPart(tuple(lines), after + len(lines), more=True)
        lines.append(text)
    return LogPart(tuple(lines), after + len(lines), more=False)


def _retries(engine: Engine, rows: Iterable[Job]) -> dict[str, int]:
    found: dict[str, int] = {}
    for job in rows:
        if job.retry_of is None and job.retry_job is None:
            # Of most jobs a list need not read the definition.
            continue
        with suppress(StroemError):
            retry = engine.plan_of(job).task.retry
            found[job.job_id] = retry.max_attempts - 1 if retry else 0
    return found


def _filter(engine: Engine, query: JobQuery) -> JobFilter:
    names = (
        [query.workspace] if query.workspace else [w.name for w in engine.registry.workspaces()]
    )
    sees, rights = None, query.rights
    if rights is not None:
        names = [name for name in names if rights.sees(name)]
        if not all(map(rights.sees_all, names)):
            sees = rights.sees_job
    return JobFilter(
        workspaces=names,
        task=query.task,
        status=query.status,
        source_type=query.source_type,
        search=query.search,
        sees=sees,
    )
