"""One job as people see it: its steps, the instances of its loops, what it waits for.

One rule: what is shown is one consistent read of the job and what follows from it, secrets hidden.
Source: HTTP API, section 4.1; state machines, section 3.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.graph import layers
from chalicelib.domain.instances import LoopFigures, chosen, figures, untouched
from chalicelib.domain.job import Job, JobState, LoopRun, Note, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import Instance, instance_name
from chalicelib.domain.outcomes import output_of
from chalicelib.domain.plan import derive
from chalicelib.domain.values import NO_PAYLOAD, JsonObject, JsonValue
from chalicelib.domain.workflow import FlowStep
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import load_object, load_payload
from chalicelib.engine.ports import Blobs
from chalicelib.engine.redaction import Redactor, redactor_for
from chalicelib.engine.rendering import shown_input
from chalicelib.engine.rounds import round_of
from chalicelib.engine.steps import retry_policy
from chalicelib.engine.waiting import waits_for

SHOWN_INSTANCES = 500
_SHOWN_LOOPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step, or one instance of a loop, as it stands.

    `loop` tells how far a loop is; `index` and `total` are those of an instance. `is_cut`: its
    output is large and was left out. `message` is what an approval asks.
    """

    step: FlowStep
    name: str
    status: StepStatus
    record: StepRecord | None
    input: JsonValue
    output: JsonValue
    error: str | None
    past_errors: tuple[str, ...]
    retries: int | None
    loop: LoopFigures | None = None
    index: int | None = None
    total: int | None = None
    is_cut: bool = False
    message: str | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job with its steps in an order where each stands behind what it depends on.

    Instances follow their loop. `retries`: how often the whole task may be tried again.
    """

    job: Job
    plan: Plan
    input: JsonValue
    output: JsonValue
    steps: tuple[StepView, ...]
    layers: tuple[tuple[str, ...], ...]
    reason: str | None
    notes: tuple[Note, ...]
    retries: int | None
    waits_for: str | None


@dataclass(frozen=True, slots=True)
class InstancesPage:
    """Instances of a loop in the order of their indexes, and how many it has in all."""

    plan: Plan
    steps: tuple[StepView, ...]
    total: int


def job_view(engine: Engine, job_id: str) -> JobView:
    """Return everything about one job; of its loops' instances up to 500.

    Raises:
        NotFoundError: no such job.
    """
    seen = _seen(engine, job_id)
    job, plan, redactor = seen.state.job, seen.plan, seen.redactor
    steps = tuple(_step_views(seen))
    retry = plan.task.retry
    return JobView(
        job=job,
        plan=plan,
        input=redactor.value(load_object(seen.engine.blobs, job.input)),
        output=output_of(plan.flow, job.status, {view.name: view.output for view in steps}),
        steps=steps,
        layers=layers(plan.flow.steps),
        reason=None if job.reason is None else redactor.text(job.reason),
        notes=tuple(replace(note, text=redactor.text(note.text)) for note in seen.state.notes),
        retries=retry.max_attempts - 1 if retry else None,
        waits_for=seen.waits.get(""),
    )


def instances_page(
    engine: Engine, job_id: str, step: str, offset: int, limit: int
) -> InstancesPage:
    """Return up to `limit` instances of a loop from index `offset` on, whole outputs included.

    Raises:
        NotFoundError: no such job, or it has no such loop.
    """
    seen = _seen(engine, job_id)
    found = seen.plan.flow.steps.get(step)
    if found is None or found.for_each is None:
        raise NotFoundError(f"job {job_id} has no step {step!r} with a for_each")
    record = seen.state.steps.get(step)
    run = record.loop if record else None
    if record is None or run is None:
        return InstancesPage(seen.plan, (), 0)
    wanted = range(min(offset, run.total), min(offset + limit, run.total))
    views = tuple(_instance_views(seen, found, record, run, wanted, is_whole=True))
    return InstancesPage(seen.plan, views, run.total)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at a job found; `engine` reads each object of the store once."""

    engine: Engine
    plan: Plan
    state: JobState
    redactor: Redactor
    waits: Mapping[str, str]


class _OnceRead:
    """Objects, each read once: the steps of a job read the same inputs and outputs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes:
        if key not in self._kept:
            self._kept[key] = self._blobs.get(key)
        return self._kept[key]


def _seen(engine: Engine, job_id: str) -> _Seen:
    state = engine.jobs.load(job_id)
    plan = engine.plan_of(state.job)
    engine = replace(engine, blobs=cast("Blobs", _OnceRead(engine.blobs)))
    redactor = redactor_for(engine, state.job, plan.definition)
    return _Seen(engine, plan, state, redactor, waits_for(engine, plan, state))


def _step_views(seen: _Seen) -> Iterator[StepView]:
    left, loops = SHOWN_INSTANCES, 0
    for key, status in derive(seen.plan.flow, seen.state).items():
        step, record = seen.plan.flow.steps[key], seen.state.steps.get(key)
        view = _step_view(seen, step, record, status)
        run = record.loop if record else None
        if record is None or run is None:
            yield view
            continue
        groups = seen.state.loops.get(key, {})
        yield replace(view, loop=figures(record, run, groups), total=run.total)
        loops += 1
        for wanted in chosen(run.total, groups, left) if loops <= _SHOWN_LOOPS else ():
            left -= len(wanted)
            yield from _instance_views(seen, step, record, run, wanted)


def _instance_views(
    seen: _Seen,
    step: FlowStep,
    loop: StepRecord,
    run: LoopRun,
    wanted: range,
    *,
    is_whole: bool = False,
) -> Iterator[StepView]:
    if not wanted:
        return
    job, groups = seen.state.job, seen.state.loops.get(step.key, {})
    near, below, far = untouched(
        step, loop, run, groups, is_cancelled=job.status is JobStatus.CANCELLED
    )
    records = seen.engine.jobs.load_instances(job.job_id, step.key, wanted[0], wanted[-1])
    for index in wanted:
        record = records.get(index)
        status = record.status if record else near if index < below else far
        is_cut = record is not None and record.output.ref is not None and not is_whole
        if record is not None and is_cut:
            record = replace(record, output=NO_PAYLOAD)
        view = _step_view(seen, step, record, status, Instance(step.key, index))
        yield replace(view, index=index, total=run.total, is_cut=is_cut)


def _step_view(
    seen: _Seen,
    step: FlowStep,
    record: StepRecord | None,
    status: StepStatus,
    instance: Instance | None = None,
) -> StepView:
    redactor = seen.redactor
    name = instance_name(instance.step, instance.index) if instance else step.key
    policy = retry_policy(seen.plan, step)
    output = redactor.value(load_payload(seen.engine.blobs, record.output)) if record else None
    message = output.get("approval_message") if isinstance(output, dict) else None
    is_asked = record is not None and record.suspended_at is not None
    return StepView(
        step=step,
        name=name,
        status=status,
        record=record,
        input=redactor.value(_input(seen, step, instance) if record else step.input),
        output=output,
        error=redactor.text(record.error) if record and record.error is not None else None,
        past_errors=tuple(redactor.text(p.error) for p in record.history) if record else (),
        retries=policy.max_attempts - 1 if policy else None,
        message=message if is_asked and isinstance(message, str) else None,
        waits_for=seen.waits.get(name),
    )


def _input(seen: _Seen, step: FlowStep, instance: Instance | None) -> JsonObject:
    each = round_of(seen.engine, seen.state, instance) if instance else None
    return shown_input(seen.engine, seen.plan, seen.state, step, each)
