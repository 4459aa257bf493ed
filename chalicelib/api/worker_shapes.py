"""What workers say and hear, as JSON.

Members beyond Strøm's own protocol are optional, so that an unmodified worker works.
Source: HTTP API, section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from chalicelib.api.bodies import Body, Query
from chalicelib.api.shapes import MaybeNumber, MaybeText, Shape, Status, absent
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.logs import LogLine
from chalicelib.domain.values import StepRef
from chalicelib.engine.steps import Assignment, Outcome
from chalicelib.engine.workers import Orders as EngineOrders

Attempt = Annotated[int, Field(ge=1, le=10**12)]
# It becomes a part of a key.
LONGEST_STEP = 300
Lease = Annotated[str, Field(max_length=128, pattern=r"^[0-9A-Za-z_.-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class HelloBody(Body):
    """What a worker says of itself when it starts."""

    name: Name
    capabilities: list[Name]
    tags: list[Name] = Field(default_factory=list)
    exclusive: bool = False
    version: str | None = None


class Registered(Shape):
    """The session, how often it is to be heard, in seconds, and which pools it takes from.

    A worker of a group also gets a token of its session's own, good for `expires_in` seconds.
    """

    worker_id: str
    heartbeat_s: int
    pools: list[str]
    access_token: MaybeText
    expires_in: MaybeNumber


class SessionToken(Shape):
    """A session's own token, and for how many seconds it is good."""

    access_token: str
    expires_in: int


class StepName(Body):
    """One step of one job."""

    job_id: str
    step_name: str


class HeartbeatBody(Body):
    """That the session lives. Without `running` it does not say what it runs."""

    worker_id: str
    running: list[StepName] | None = None


class OrdersBody(Body):
    """What a session runs."""

    worker_id: str
    running: list[StepName]


class StepNameShape(Shape):
    """One step of one job."""

    job_id: str
    step_name: str


class Orders(Shape):
    """Steps to stop; those among them to kill at once; with `drain`, take no more and leave.

    `pools` are those that the worker takes from now; null: nothing is said of them. `watched` are
    the jobs among those that it runs whose logs somebody watches live.
    """

    status: str = "ok"
    cancelled: list[StepNameShape]
    killed: list[StepNameShape]
    drain: bool = False
    pools: list[str] | None = None
    watched: list[str] = Field(default_factory=list)


class WorkerBody(Body):
    """Whose request it is."""

    worker_id: str


class ClaimBody(Body):
    """What the worker can run, and how long it waits for a step to come (0 to 20 s).

    Without `pools`, all are asked that fit the capabilities and the session's tags.
    """

    worker_id: str
    capabilities: list[Name]
    tags: list[Name] = Field(default_factory=list)
    exclusive: bool = False
    pools: list[Name] = Field(default_factory=list, max_length=100)
    wait_s: Annotated[float, Field(ge=0, le=20)] = 0.0


class ActionSpec(Shape):
    """What to run, every template rendered."""

    script: str | None
    source: str | None
    language: str
    args: list[str]
    env: dict[str, str]
    interpreter: str | None
    dependencies: list[str]
    runner: str


class EventSourceConfig(Shape):
    """For which trigger a consumer emits, and which task each event starts."""

    workspace: str
    source_id: str
    target_task: str


class Claimed(Shape):
    """A claimed attempt; every member is null when there was nothing to claim.

    `secrets` must not be seen in what the worker reports. `references` are what marks in `env` and
    `args` stand for, which the worker resolves. `watched`: somebody watches the job's log live.
    """

    workspace: str | None = None
    job_id: str | None = None
    task_name: str | None = None
    step_name: str | None = None
    action_name: str | None = None
    action_type: str | None = None
    action_image: str | None = None
    action_spec: ActionSpec | None = None
    input: Any = None
    runner: str | None = None
    timeout_secs: int | None = None
    revision: str | None = None
    attempt: int | None = None
    lease: str | None = None
    idempotency_key: str | None = None
    secrets: list[str] | None = None
    references: dict[str, str] | None = None
    watched: bool | None = None
    event_source_config: Annotated[EventSourceConfig | None, Field(exclude_if=absent)] = None


class CompleteBody(Body):
    """How an attempt ended: failed if the exit code is not 0 or there is an error."""

    output: Any = None
    exit_code: int | None = None
    error: str | None = None
    cancelled: bool = False
    attempt: Attempt | None = None
    lease: Lease | None = None
    worker_id: str | None = None
    next: bool = False

    def outcome(self) -> Outcome:
        """Return the end as the engine knows it."""
        error = self.error
        if error is None and self.exit_code:
            error = f"Process exited with code {self.exit_code}"
        return Outcome(error=error, output=self.output, cancelled=self.cancelled)


class Completed(Status):
    """That the report was accepted; and the next step, if it was asked for and there is one."""

    next: Claimed | None = None


class CancelledShape(Shape):
    """Whether the job was cancelled."""

    cancelled: bool


class LineShape(Body):
    """One line that a step wrote."""

    ts: datetime
    stream: Literal["stdout", "stderr"]
    line: str


class LogsBody(Body):
    """Lines `first`, `first + 1` … of an attempt; without `first`, behind those that are there.

    `live`: push them to who watches the job; those of a job that is watched are pushed anyway.
    """

    step_name: Name
    lines: list[LineShape]
    attempt: Attempt | None = None
    first: Attempt | None = None
    lease: Lease | None = None
    live: bool = False

    def parsed(self) -> list[LogLine]:
        """Return the lines; a time without a zone is UTC."""
        return [
            LogLine(_aware(line.ts), line.stream, self.step_name, line.line) for line in self.lines
        ]


class ArchiveQuery(Query):
    """Which revision; without one, that in force."""

    revision: str | None = None


def ordered(found: EngineOrders) -> Orders:
    """Return what a worker must stop."""
    pools = None if found.pools is None else list(found.pools)
    return Orders(
        cancelled=_names(found.cancelled),
        killed=_names(found.killed),
        pools=pools,
        watched=sorted(found.watched),
    )


def claimed(found: Assignment) -> Claimed:
    """Return what a worker gets to run."""
    ref, action = found.hold.ref, found.action
    return Claimed(
        workspace=found.workspace,
        job_id=ref.job_id,
        task_name=found.task,
        step_name=ref.step,
        action_name=action.key,
        action_type=action.type.value,
        action_image=action.image,
        action_spec=_spec(found),
        input=found.rendered.input,
        runner=action.runner.value,
        timeout_secs=found.timeout_s,
        revision=found.revision,
        attempt=found.hold.attempt,
        lease=found.hold.lease,
        idempotency_key=found.idempotency_key,
        secrets=list(found.rendered.secrets),
        references=found.rendered.references,
        watched=found.watched,
        event_source_config=_emits(found),
    )


def step_ref(job_id: str, step: str) -> StepRef:
    """Return a reference as a worker spells it.

    Raises:
        NotFoundError: nothing is named so; an output's key is made of the name.
    """
    is_plain = 0 < len(step) <= LONGEST_STEP and step.isprintable()
    if not is_plain or not {".", ".."}.isdisjoint(step.split("/")):
        raise NotFoundError(f"there is no step {step[:80]!r}")
    return StepRef(job_id.lower(), step)


def _spec(found: Assignment) -> ActionSpec:
    action, rendered = found.action, found.rendered
    return ActionSpec(
        script=rendered.script,
        source=action.source,
        language=action.language.value,
        args=list(rendered.args),
        env=rendered.env,
        interpreter=action.interpreter,
        dependencies=list(action.dependencies),
        runner=action.runner.value,
    )


def _emits(found: Assignment) -> EventSourceConfig | None:
    source = found.emits
    if source is None:
        return None
    return EventSourceConfig(
        workspace=source.workspace, source_id=source.source_id, target_task=source.target_task
    )


def _names(refs: Iterable[StepRef]) -> list[StepNameShape]:
    return [StepNameShape(job_id=ref.job_id, step_name=ref.step) for ref in refs]


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
