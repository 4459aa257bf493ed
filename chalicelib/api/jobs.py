"""Routes that show jobs: list, detail, logs, counts. Source: HTTP API, section 4.1."""

from __future__ import annotations

import json

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, Reply, answered
from chalicelib.api.jobs_shapes import (
    Counts,
    JobDetail,
    JobList,
    JobsQuery,
    Log,
    LogQuery,
    detail_of,
    rows_of,
)
from chalicelib.api.pages import cursor_of, next_link, position_of
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import InvalidError, Violation
from chalicelib.domain.logs import SERVER_STEP, LogLine
from chalicelib.engine import queries, queries_jobs
from chalicelib.engine.access import Rights
from chalicelib.engine.queries import JobQuery

bp = Blueprint(__name__)

# An answer of a Lambda function ends at 6 MB.
MAX_LOG_BYTES = 3 * 1024 * 1024


@bp.route("/jobs", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List jobs, newest first",
        answer=JobList,
        query=JobsQuery,
        needs=Permission.EXECUTION_READ,
    ),
)
def list_jobs(call: Call) -> Reply:
    query = call.query(JobsQuery)
    rights = call.rights
    wanted = _wanted(query, rights)
    list_key = json.dumps(
        [query.workspace, query.task_name, query.status, query.source_type, query.search]
    )
    if query.cursor is not None:
        after = position_of(query.cursor, list_key)
        page, total = queries.job_page(call.engine, wanted, after, query.limit), None
    else:
        page, total = queries.job_rows(call.engine, wanted, query.offset, query.limit)
    rows = rows_of(page, rights)
    cursor = cursor_of(page.next, list_key) if page.next else None
    headers = {"Link": next_link(call.path, call.params, cursor)} if cursor else {}
    return Reply(JobList(items=rows, total=total, next_cursor=cursor), headers=headers)


@bp.route("/jobs/{job_id}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show a job with its steps, secrets hidden",
        answer=JobDetail,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def get_job(call: Call, job_id: str) -> JobDetail:
    job_id = call.require_job(job_id)
    return detail_of(queries_jobs.job_view(call.engine, job_id), call.rights)


@bp.route("/jobs/{job_id}/logs", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Read a job's log as JSON lines, in order of time",
        answer=Log,
        query=LogQuery,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def job_log(call: Call, job_id: str) -> Log:
    return _log(call, job_id, None)


@bp.route("/jobs/{job_id}/steps/{step}/logs", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Read a step's log; the step `_server` is what the engine did",
        answer=Log,
        query=LogQuery,
        errors=(404,),
        needs=Permission.EXECUTION_READ,
    ),
)
def step_log(call: Call, job_id: str, step: str) -> Log:
    return _log(call, job_id, step)


@bp.route("/stats", methods=["GET"])
@answered(
    bp, Operation(summary="Count jobs by status", answer=Counts, needs=Permission.EXECUTION_READ)
)
def job_stats(call: Call) -> Counts:
    counts = queries.job_counts(call.engine, JobQuery(rights=call.rights))
    return Counts(**{status.value: count for status, count in counts.items()})


def _wanted(query: JobsQuery, rights: Rights) -> JobQuery:
    if query.task_name is not None:
        wrong = _wrong_with_task(query)
        if wrong:
            raise InvalidError(
                f"the query is not valid: {wrong}", (Violation("/task_name", wrong),)
            )
    return JobQuery(
        workspace=query.workspace,
        task=query.task_name,
        status=query.status,
        source_type=query.source_type,
        search=query.search,
        rights=rights,
    )


def _wrong_with_task(query: JobsQuery) -> str | None:
    if query.workspace is None:
        return "task_name needs workspace beside it"
    return "task_name and search exclude each other" if query.search else None


def _log(call: Call, job_id: str, step: str | None) -> Log:
    query = call.query(LogQuery)
    job_id = call.require_job(job_id)
    part = queries.log_part(call.engine, job_id, step, query.after or 0, MAX_LOG_BYTES)
    text = "".join(f"{line}\n" for line in part.lines)
    if query.after is not None:
        return Log(logs=text, next=part.next)
    if not part.more:
        return Log(logs=text, next=None)
    notice = f"… the log goes on: read the rest with ?after={part.next}"
    line = LogLine(call.engine.clock.now(), "stderr", SERVER_STEP, notice)
    return Log(logs=f"{text}{line.to_json()}\n", next=part.next)
