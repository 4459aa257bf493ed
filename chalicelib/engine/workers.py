"""Workers' sessions: register, heartbeat, take the next attempt, end.

Source: protocol, "Workers"; HTTP API, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    TemplateError,
    TooEarlyError,
)
from chalicelib.domain.job import Job
from chalicelib.domain.pools import Reach
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerRecord, WorkerStatus
from chalicelib.domain.worker_groups import EVERYTHING, WorkerGroup
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports import Received
from chalicelib.engine.steps import Assignment, claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a worker says of itself when it starts."""

    name: str
    capabilities: tuple[str, ...]
    tags: tuple[str, ...] = ()
    exclusive: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """Steps to be stopped, since their jobs are over; `killed` are those of them without grace.

    `pools` are those that the worker takes from now; None: nothing is said of them. `watched` are
    the jobs of these steps whose logs somebody watches live.
    """

    cancelled: tuple[StepRef, ...] = ()
    killed: tuple[StepRef, ...] = ()
    pools: tuple[str, ...] | None = None
    watched: frozenset[str] = frozenset()


def register(engine: Engine, hello: Hello, group: WorkerGroup | None = None) -> WorkerRecord:
    """Open a session: each start of a worker is a new one, of a group if it has shown its token.

    Raises:
        InvalidError: a worker without a capability could never be given work.
        PermissionDeniedError: its group allows none of its capabilities.
    """
    if not hello.capabilities:
        raise InvalidError("a worker needs at least one capability, such as `script`")
    capabilities = group.allowed(hello.capabilities) if group else hello.capabilities
    if group is not None and not capabilities:
        raise PermissionDeniedError(
            f"worker group {group.name!r} allows only {', '.join(group.capabilities or ())}: this "
            f"worker offers {', '.join(hello.capabilities)}"
        )
    now = engine.clock.now()
    record = WorkerRecord(
        worker_id=engine.ids.job_id(),
        name=hello.name,
        status=WorkerStatus.ACTIVE,
        capabilities=capabilities,
        tags=hello.tags,
        exclusive=hello.exclusive,
        version=hello.version,
        registered_at=now,
        last_heartbeat=now,
        group=group.group_id if group else None,
        scope=group.scope if group else EVERYTHING,
    )
    engine.registry.put_worker(record)
    return record


def heartbeat(engine: Engine, worker_id: str, running: Sequence[StepRef] | None) -> Orders:
    """Note that the session lives and what it runs; answer with what it must stop.

    `running` None: the worker does not say, so a step that it lost is only found by its timeout.

    Raises:
        NotFoundError: no such session.
    """
    record = engine.registry.heartbeat(worker_id, engine.clock.now(), running)
    return replace(orders(engine, running or ()), pools=pools_of(engine, record))


def reach_of(record: WorkerRecord) -> Reach:
    """Return which pools the session takes from."""
    return Reach(
        frozenset(record.capabilities),
        frozenset(record.tags),
        record.exclusive,
        record.scope.pools,
    )


def pools_of(engine: Engine, record: WorkerRecord) -> tuple[str, ...]:
    """Return the pools that there are and that the session takes from, the urgent ones first."""
    return reach_of(record).of([*engine.limits.pools, *sorted(engine.registry.pools())])


def orders(engine: Engine, running: Sequence[StepRef]) -> Orders:
    """Say which of these steps must stop. One read for each job, and no write."""
    now = engine.clock.now()
    jobs = {job_id: _look(engine, job_id) for job_id in dict.fromkeys(r.job_id for r in running)}
    ended = {job_id for job_id, job in jobs.items() if job is None or job.status.is_terminal}
    killed = {job_id for job_id, job in jobs.items() if job is not None and job.killed}
    return Orders(
        tuple(ref for ref in running if ref.job_id in ended),
        tuple(ref for ref in running if ref.job_id in ended & killed),
        watched=frozenset(
            job_id for job_id, job in jobs.items() if job is not None and job.is_watched(now)
        ),
    )


def sign_off(engine: Engine, worker_id: str) -> None:
    """Close a session that stops by itself; it must have ended or handed back what it held."""
    engine.registry.worker_gone(worker_id, engine.clock.now())


def take(engine: Engine, received: Received, session: str, worker: str) -> Assignment | None:
    """Claim what a message speaks of, then take the message off its queue.

    The message stays when the claim could not be tried: the queue gives it out again.

    Raises:
        TemplateError: the step's templates failed; it is ended as failed and the message is gone.
    """
    try:
        assignment = claim(engine, received.message, session, worker)
    except TemplateError:
        engine.queue.delete(received)
        raise
    except TooEarlyError:
        return None
    engine.queue.delete(received)
    return assignment


def _look(engine: Engine, job_id: str) -> Job | None:
    try:
        return engine.jobs.get(job_id)
    except NotFoundError:
        return None
