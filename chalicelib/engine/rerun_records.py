"""Take over, into a job that runs another one again, what need not run again.

The one rule: what is taken over is decided once, when the job is made, and kept as its seed; the
records themselves are read from the ended job, where they never change.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.job import Job, JobState, LoopGroup, StepRecord
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.loops import flow_key
from chalicelib.domain.plan import derive, flow_of
from chalicelib.domain.reruns import (
    StartFrom,
    Takeover,
    done_instances,
    groups_without,
    kept,
    restart_of,
    resumed,
    taken_over,
    unchanged,
)
from chalicelib.domain.values import BlobRef, JsonValue, Payload
from chalicelib.engine.engine import Engine
from chalicelib.engine.making import NewJob, derived_id
from chalicelib.engine.payloads import encode, load_blob, store_blob
from chalicelib.engine.ports import SeedRecords


def seed(engine: Engine, state: JobState) -> bool:
    """Write the records that the re-run takes over; say that the job must be read again.

    That it runs again is noted on the job before it first: so both sides know before it begins.
    """
    job = state.job
    if job.source_job is not None and job.source_type is not SourceType.RETRY:
        with suppress(NotFoundError):
            engine.jobs.add_rerun(job.source_job, job.job_id)
    engine.jobs.seed(job.job_id, _records(engine, job))
    return True


def seeded(engine: Engine, state: JobState) -> JobState:
    """Return the state of a cancelled job with what it takes over.

    Whoever was about to write the records must find nothing left to write when all is halted.
    """
    if state.job.seed is None or state.job.is_seeded:
        return state
    seed(engine, state)
    return engine.jobs.load(state.job.job_id)


def store_takeover(engine: Engine, workspace: str, job_id: str, takeover: Takeover) -> BlobRef:
    """Keep what a job takes over; an id that comes again with another decision keeps the first."""
    kept_steps: list[JsonValue] = [*sorted(takeover.keep)]
    halfway: list[JsonValue] = [*sorted(takeover.resume)]
    content = encode({"source": takeover.source, "keep": kept_steps, "resume": halfway})
    digest = sha256(content).hexdigest()[:16]
    return store_blob(engine.blobs, keys.seed_blob(workspace, job_id, digest), content)


def check_outputs(engine: Engine, state: JobState, takeover: Takeover) -> None:
    """Raise unless the results of the steps that are taken over can still be read.

    Raises:
        ConflictError: an object of the store is gone.
    """
    wanted = [(key, state.steps[key].output) for key in sorted(takeover.keep)]
    loops = ((key, state.steps[key].loop) for key in sorted(takeover.resume))
    wanted += [(key, loop.items) for key, loop in loops if loop is not None]
    for step, payload in wanted:
        if not _is_there(engine, payload):
            raise ConflictError(
                f"what step {step!r} of job {state.job.job_id} gave is not kept any more: "
                "run the job again from the start, or from that step"
            )


def child_of(engine: Engine, job: Job, step: str, attempt: int) -> str | None:
    """Return the sub-job that the step's own is to run again from where it failed.

    None: there is none, or the sub-job is to run whole; another attempt of the step's always is.
    """
    if job.seed is None or attempt != 1:
        return None
    takeover = load_takeover(engine, job.seed)
    if flow_key(step) not in takeover.resume:
        return None
    try:
        found = engine.jobs.load_steps(takeover.source, (step,)).steps.get(step)
    except NotFoundError:
        return None
    return found.child if found is not None else None


def with_takeover(engine: Engine, job: Job, child: NewJob) -> NewJob:
    """Return a sub-job of the job so that it takes over what the one before it completed."""
    if child.parent is None:
        return child
    old = child_of(engine, job, child.parent.ref.step, child.parent.attempt)
    try:
        state = engine.jobs.load(old) if old else None
    except NotFoundError:
        state = None
    if state is None or state.job.task != child.task.key:
        return child
    plan = engine.plan_of(state.job)
    if not all(status.is_terminal for status in derive(plan.flow, state).values()):
        return child
    flow = flow_of(child.task, child.definition.actions)
    same = unchanged((plan.task, plan.definition), (child.task, child.definition))
    takeover = taken_over(flow, same, plan.flow, state, StartFrom.FAILED)
    return replace(
        child,
        source_job=old,
        restart_from=restart_of(StartFrom.FAILED),
        seed=store_takeover(engine, child.workspace, child.job_id, takeover),
    )


def load_takeover(engine: Engine, ref: BlobRef) -> Takeover:
    """Return what `store_takeover` kept."""
    body = json.loads(load_blob(engine.blobs, ref))
    return Takeover(body["source"], frozenset(body["keep"]), frozenset(body["resume"]))


def _records(engine: Engine, job: Job) -> SeedRecords:
    """Return the records to write; none where the job before is gone, so that all runs again."""
    if job.seed is None:
        return SeedRecords(steps=(), loops={})
    takeover = load_takeover(engine, job.seed)
    try:
        old = engine.jobs.load(takeover.source).steps if takeover.keep | takeover.resume else {}
    except NotFoundError:
        old = {}
    steps = [kept(old[key]) for key in sorted(takeover.keep) if key in old]
    instances: list[StepRecord] = []
    groups: dict[str, tuple[LoopGroup, ...]] = {}
    for key in sorted(takeover.resume):
        loop = old.get(key)
        if loop is None or loop.loop is None:
            continue
        lease = derived_id(job.job_id, key, "loop")
        steps.append(resumed(loop, lease, job.created_at))
        total = loop.loop.total
        found = engine.jobs.load_instances(takeover.source, key, 0, total - 1)
        done = done_instances(found)
        instances += done.values()
        groups[key] = groups_without(total, done)
    return SeedRecords(steps=tuple(steps), instances=tuple(instances), loops=groups)


def _is_there(engine: Engine, payload: Payload) -> bool:
    return payload.ref is None or engine.blobs.exists(payload.ref.key)
