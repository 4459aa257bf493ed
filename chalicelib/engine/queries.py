"""Read use cases: what people and programs ask about jobs and their logs.

One rule: nothing is written, and what can be derived is derived: a job's statuses from its flow,
its output from the flow's ends. Secrets never leave here.
Source: HTTP API, section 4.1; state machines, section 3.5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from chalicelib.domain.errors import InvalidError, NotFoundError, TemplateError
from chalicelib.domain.graph import layers
from chalicelib.domain.job import Job, JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.logs import SERVER_STEP
from chalicelib.domain.plan import derive
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Definition, FlowStep
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.payloads import load_blob, load_object, load_payload
from chalicelib.engine.ports import JobFilter, ListPosition
from chalicelib.engine.redaction import Redactor, redactor_of
from chalicelib.engine.rendering import shown_input
from chalicelib.engine.steps import retry_policy

DEEPEST_OFFSET = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step as it stands. `worker_id` is the session that ran it last."""

    step: FlowStep
    status: StepStatus
    record: StepRecord | None
    input: JsonValue
    output: JsonValue
    error: str | None
    past_errors: tuple[str, ...]
    retries: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job with its steps in an order where each stands behind what it depends on."""

    job: Job
    plan: Plan
    input: JsonValue
    output: JsonValue
    steps: tuple[StepView, ...]
    layers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs a list shows: `workspace` None means all."""

    workspace: str | None = None
    task: str | None = None
    status: JobStatus | None = None
    source_type: SourceType | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class JobPage:
    """Rows of a list, and the place behind the last when there are more."""

    jobs: tuple[Job, ...]
    next: ListPosition | None


@dataclass(frozen=True, slots=True)
class LogPart:
    """Lines of a log, and the number of lines up to their end; `more` says that others follow."""

    lines: tuple[str, ...]
    next: int
    more: bool


def job_view(engine: Engine, job_id: str) -> JobView:
    """Return everything about one job, secrets hidden.

    Raises:
        NotFoundError: no such job.
    """
    state = engine.jobs.load(job_id)
    plan = engine.plan_of(state.job)
    redactor = _redactor(engine, state.job, plan.definition)
    statuses = derive(plan.flow, state)
    steps = tuple(
        _step_view(engine, plan, state, redactor, plan.flow.steps[key], status)
        for key, status in statuses.items()
    )
    return JobView(
        job=state.job,
        plan=plan,
        input=redactor.value(load_object(engine.blobs, state.job.input)),
        output=_output(plan, state.job, steps),
        steps=steps,
        layers=layers(plan.flow.steps),
    )


def job_page(engine: Engine, query: JobQuery, after: ListPosition | None, limit: int) -> JobPage:
    """Return up to `limit` jobs behind the position, newest first."""
    found = engine.jobs.page(_filter(engine, query), after, limit + 1)
    rows = tuple(found[:limit])
    more = len(found) > limit
    return JobPage(rows, ListPosition(rows[-1].created_at, rows[-1].job_id) if more else None)


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
        return JobPage(rows, None), len(page.jobs)
    return JobPage(rows, page.next), sum(job_counts(engine, query).values())


def job_counts(engine: Engine, query: JobQuery) -> Mapping[JobStatus, int]:
    """Return how many jobs have each status; a status that none has may be missing."""
    return engine.jobs.tally(_filter(engine, query))


def log_part(engine: Engine, job_id: str, step: str | None, after: int, max_bytes: int) -> LogPart:
    """Return the log's lines behind the first `after`, up to `max_bytes` of JSON; at least one.

    Raises:
        NotFoundError: no such job or step.
    """
    job = engine.jobs.get(job_id)
    plan = engine.plan_of(job)
    if step is not None and step != SERVER_STEP and step not in plan.flow.steps:
        raise NotFoundError(f"job {job_id} has no step {step!r}")
    redactor = _redactor(engine, job, plan.definition)
    lines: list[str] = []
    size = 0
    for line in islice(read_log(engine, job_id, step), after, None):
        text = redactor.log_line(line)
        size += len(json.dumps(text))
        if lines and size > max_bytes:
            return LogPart(tuple(lines), after + len(lines), more=True)
        lines.append(text)
    return LogPart(tuple(lines), after + len(lines), more=False)


def _filter(engine: Engine, query: JobQuery) -> JobFilter:
    names = (
        [query.workspace] if query.workspace else [w.name for w in engine.registry.workspaces()]
    )
    return JobFilter(
        workspaces=names,
        task=query.task,
        status=query.status,
        source_type=query.source_type,
        search=query.search,
    )


def _step_view(
    engine: Engine,
    plan: Plan,
    state: JobState,
    redactor: Redactor,
    step: FlowStep,
    status: StepStatus,
) -> StepView:
    record = state.steps.get(step.key)
    policy = retry_policy(plan, step)
    output = load_payload(engine.blobs, record.output) if record else None
    error = record.error if record else None
    return StepView(
        step=step,
        status=status,
        record=record,
        input=redactor.value(shown_input(engine, plan, state, step) if record else step.input),
        output=redactor.value(output),
        error=None if error is None else redactor.text(error),
        past_errors=tuple(redactor.text(p.error) for p in record.history) if record else (),
        retries=policy.max_attempts - 1 if policy else None,
    )


def _output(plan: Plan, job: Job, steps: Sequence[StepView]) -> JsonValue:
    if job.status is not JobStatus.COMPLETED:
        return None
    outputs = {view.step.key: view.output for view in steps if view.step.key in plan.flow.sinks}
    found: JsonObject = {key: value for key, value in outputs.items() if value is not None}
    return found or None


def _redactor(engine: Engine, job: Job, definition: Definition) -> Redactor:
    """Return what hides the workspace's secrets and the job's own secret inputs."""
    secrets: list[JsonValue] = [definition.secrets, _rendered(engine, definition.secrets)]
    if job.secret_input is not None:
        secrets.append(json.loads(load_blob(engine.blobs, job.secret_input)))
    return redactor_of(secrets)


def _rendered(engine: Engine, secrets: JsonObject) -> JsonValue:
    try:
        return engine.renderer.render_value(secrets, {})
    except TemplateError:
        return None
