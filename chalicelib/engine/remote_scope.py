"""What a worker of a group may ask about: its own sessions, their steps, its workspaces.

One rule: what is another workspace's is hidden as if it were not there; what is of an allowed
workspace but another session's is refused as fenced. Who shows the installation's one token is
trusted with everything.
Source: security, S15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.domain.errors import FencedError, ForeignStepError, HiddenError, NotFoundError
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord
from chalicelib.domain.worker_groups import WorkerPass
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine import workers
from chalicelib.engine.engine import Engine
from chalicelib.engine.queries_registry import workspace_of
from chalicelib.engine.workers import Orders


def own_session(engine: Engine, shown: WorkerPass, worker_id: str) -> None:
    """Let pass who may speak for the session.

    Raises:
        HiddenError: it may not.
    """
    if not _speaks_for(engine, shown, worker_id):
        raise HiddenError(f"there is no worker {worker_id!r}: register again")


def own_step(engine: Engine, shown: WorkerPass, ref: StepRef, *, has_lease: bool = False) -> None:
    """Let pass who may report on the step; `has_lease` leaves the rest to the lease's own check.

    Raises:
        NotFoundError: no such job.
        HiddenError: the job is of a workspace that the group does not serve.
        ForeignStepError: another session has the step, or none.
    """
    if shown.group is None:
        return
    state = engine.jobs.load_steps(ref.job_id, (ref.step,))
    if not shown.scope.has_workspace(state.job.workspace):
        raise HiddenError(f"there is no job {ref.job_id}")
    record = state.steps.get(ref.step)
    if has_lease and record is not None and record.session is None:
        # Sent back for its next attempt: a repeat of the report that did so is no error.
        return
    if not runs_step(engine, shown, record):
        raise ForeignStepError(
            f"step {ref.step!r} of job {ref.job_id} is not this worker's to report: stop it"
        )


def own_job(engine: Engine, shown: WorkerPass, job_id: str) -> bool:
    """Say whether the job was cancelled, to a worker that runs a step of it.

    Raises:
        NotFoundError: no such job.
        HiddenError: none of its steps is this worker's.
    """
    job = engine.jobs.get(job_id)
    if shown.group is not None:
        is_own = shown.scope.has_workspace(job.workspace) and (
            shown.session is None or _runs_some(engine, shown, job_id)
        )
        if not is_own:
            raise HiddenError(f"there is no job {job_id}")
    return job.status is JobStatus.CANCELLED


def own_workspace(engine: Engine, shown: WorkerPass, name: str) -> WorkspaceRecord:
    """Return a workspace whose files the worker may have.

    Raises:
        NotFoundError: no such workspace.
        HiddenError: the group does not serve it.
    """
    if not shown.scope.has_workspace(name):
        raise HiddenError(f"there is no workspace {name!r}")
    return workspace_of(engine, name)


def orders(engine: Engine, shown: WorkerPass, running: Sequence[StepRef]) -> Orders:
    """Say which of these steps must stop: also all that are not this worker's."""
    own, foreign = _told_apart(engine, shown, running)
    found = workers.orders(engine, own)
    return replace(found, cancelled=(*found.cancelled, *foreign))


def heartbeat(
    engine: Engine, shown: WorkerPass, worker_id: str, running: Sequence[StepRef] | None
) -> Orders:
    """As `workers.heartbeat`, for the worker's own session and steps.

    Raises:
        NotFoundError: no such session, or it is another's.
    """
    own_session(engine, shown, worker_id)
    own, foreign = _told_apart(engine, shown, running or ())
    found = workers.heartbeat(engine, worker_id, None if running is None else own)
    return replace(found, cancelled=(*found.cancelled, *foreign))


def _speaks_for(engine: Engine, shown: WorkerPass, worker_id: str) -> bool:
    if shown.group is None:
        return True
    if shown.session is not None:
        return shown.session == worker_id
    worker = _worker(engine, worker_id)
    return worker is not None and worker.group == shown.group.group_id


def _told_apart(
    engine: Engine, shown: WorkerPass, running: Sequence[StepRef]
) -> tuple[Sequence[StepRef], tuple[StepRef, ...]]:
    """Return the worker's own steps, and those that it has no business with."""
    if shown.group is None:
        return running, ()
    own = [ref for ref in running if _is_own(engine, shown, ref)]
    return own, tuple(ref for ref in running if ref not in own)


def _is_own(engine: Engine, shown: WorkerPass, ref: StepRef) -> bool:
    try:
        own_step(engine, shown, ref)
    except (NotFoundError, FencedError):
        return False
    return True


def runs_step(engine: Engine, shown: WorkerPass, record: StepRecord | None) -> bool:
    """Say whether the step's record is of a session that the caller may speak for."""
    return (
        record is not None
        and record.session is not None
        and _speaks_for(engine, shown, record.session)
    )


def _runs_some(engine: Engine, shown: WorkerPass, job_id: str) -> bool:
    """Say whether a step of the job is the session's, or an instance of a loop may be."""
    worker = _worker(engine, shown.session or "")
    if worker is not None and any(ref.job_id == job_id for ref in worker.running or ()):
        return True
    steps = engine.jobs.load(job_id).steps.values()
    return any(step.loop is not None or runs_step(engine, shown, step) for step in steps)


def _worker(engine: Engine, worker_id: str) -> WorkerRecord | None:
    try:
        return engine.registry.worker(worker_id)
    except NotFoundError:
        return None
