"""Webhooks: find whose a name is, see that the sender may call it, start its job, wait for it.

One rule: nothing is done, counted or told before the sender has proved itself.
Source: HTTP API, section 4.2; security, S6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.errors import (
    ConflictError,
    IdempotencyError,
    NotFoundError,
    RateLimitedError,
    TemplateError,
    UnavailableError,
)
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import SourceType
from chalicelib.domain.signatures import (
    WINDOW_S,
    Scheme,
    Signed,
    check_secret,
    refusal,
    verify,
)
from chalicelib.domain.webhooks import HookCall, job_input
from chalicelib.domain.workflow import Definition, Trigger, TriggerType
from chalicelib.engine import jobs
from chalicelib.engine.engine import Engine
from chalicelib.engine.jobs import JobRequest
from chalicelib.engine.making import derived_id
from chalicelib.engine.opening import Opened
from chalicelib.engine.schedules import state_of

_MINUTE = timedelta(minutes=1)
_SEEN_FOR = timedelta(seconds=2 * WINDOW_S)
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, repr=False)
class Hook:
    """A webhook in force. `secrets` are what senders show, or sign with; they are opened."""

    name: str
    workspace: str
    trigger: Trigger
    secrets: tuple[str, ...]
    is_paused: bool = False

    @property
    def source_id(self) -> str:
        """Return what the jobs of this webhook name as their source."""
        return f"{self.workspace}/{self.trigger.key}"


def find(engine: Engine, name: str) -> Hook:
    """Return the webhook of this name: that of the first workspace that has one in force.

    Raises:
        NotFoundError: there is none, or it is disabled.
        UnavailableError: its secrets cannot be read.
    """
    for entry in engine.webhooks.entries(name):
        definition = _in_force(engine, entry.workspace)
        trigger = definition.triggers.get(entry.trigger) if definition else None
        if definition is None or trigger is None:
            continue
        state = state_of(engine, entry.workspace, trigger.key)
        if not state.is_enabled(trigger):
            continue
        if trigger.type is TriggerType.WEBHOOK and trigger.name == name:
            secrets = _opened(engine, entry.workspace, definition, trigger)
            return Hook(name, entry.workspace, trigger, secrets, state.paused)
    raise NotFoundError(f"there is no webhook {name[:80]!r}")


def recognise(engine: Engine, hook: Hook, call: HookCall) -> Signed | None:
    """Let pass who may call the webhook; return the delivery if it is signed.

    Raises:
        UnauthenticatedError: the secret or the signature is missing or wrong, or too old.
    """
    rule = hook.trigger.hmac
    if rule is None:
        _check_secret(hook, call)
        return None
    if call.method == "GET" and rule.scheme is not Scheme.STANDARD:
        # Without a body the signature would always be the same one.
        raise refusal()
    now_s = engine.clock.now().timestamp()
    return verify(rule, hook.secrets, call.headers, call.body, now_s)


def start(engine: Engine, hook: Hook, call: HookCall, signed: Signed | None) -> Job:
    """Start the job of a call that was recognised.

    The same delivery makes one job, however often the sender tries.

    Raises:
        RateLimitedError: too many calls in this minute.
        ConflictError: it or all of its task's are paused, or the same bytes came before.
        InvalidError: the job cannot be made.
    """
    _count(engine, hook)
    task = hook.trigger.task
    if task in engine.registry.paused_tasks(hook.workspace):
        raise ConflictError(f"the triggers of task {task!r} are paused: try again later")
    if hook.is_paused:
        raise ConflictError(f"the webhook {hook.name!r} is paused: try again later")
    key = _key(engine, hook, signed) if signed else None
    request = JobRequest(
        workspace=hook.workspace,
        task=task,
        input=job_input(hook.trigger, call, hook.secrets),
        source_type=SourceType.WEBHOOK,
        source_id=hook.source_id,
        idempotency_key=key,
    )
    try:
        return jobs.create(engine, request)
    except IdempotencyError:
        # Another try of the same delivery: its headers tell other times and ways.
        return engine.jobs.get(derived_id(hook.workspace, key or ""))


def check_reader(hook: Hook, call: HookCall) -> None:
    """Let pass who shows one of the webhook's secrets. Raises UnauthenticatedError."""
    _check_secret(hook, call)


def job_of(engine: Engine, hook: Hook, job_id: str) -> Job:
    """Return a job that this webhook started. Raises NotFoundError."""
    missing = NotFoundError(f"webhook {hook.name!r} started no job {job_id}")
    try:
        job = engine.jobs.get(job_id)
    except NotFoundError:
        raise missing from None
    is_ours = (job.source_type, job.source_id) == (SourceType.WEBHOOK, hook.source_id)
    if job.workspace != hook.workspace or not is_ours:
        raise missing
    return job


def wait(engine: Engine, job: Job, most_s: float, sleep: Callable[[float], None]) -> Job:
    """Return the job as it stands when it has ended, or after `most_s`."""
    until = engine.clock.now() + timedelta(seconds=most_s)
    pause_s, slept_s = _FIRST_PAUSE_S, 0.0
    while not job.status.is_terminal:
        left_s = min((until - engine.clock.now()).total_seconds(), most_s - slept_s)
        if left_s <= 0:
            break
        sleep(min(pause_s, left_s))
        slept_s += min(pause_s, left_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        job = engine.jobs.get(job.job_id)
    return job


def _in_force(engine: Engine, workspace: str) -> Definition | None:
    try:
        revision = engine.registry.workspace(workspace).revision
        return engine.definitions.load(workspace, revision) if revision else None
    except NotFoundError:
        return None


def _opened(
    engine: Engine, workspace: str, definition: Definition, trigger: Trigger
) -> tuple[str, ...]:
    """Return what the trigger's secrets stand for; none only if none are written."""
    written = _written(trigger)
    opened = Opened(engine, workspace, definition)
    try:
        found = [opened.written(text, {}) for text in written]
    except TemplateError as error:
        raise UnavailableError("the secrets of this webhook cannot be read now") from error
    secrets = tuple(one for one in found if isinstance(one, str) and one)
    if len(secrets) < len(written):
        raise UnavailableError("a secret of this webhook is empty")
    return secrets


def _written(trigger: Trigger) -> tuple[str, ...]:
    own = (trigger.secret,) if trigger.secret is not None else ()
    if trigger.hmac and trigger.hmac.secrets:
        return trigger.hmac.secrets
    return (*own, *trigger.secrets)


def _check_secret(hook: Hook, call: HookCall) -> None:
    if hook.secrets:
        check_secret(call.secret, hook.secrets)


def _count(engine: Engine, hook: Hook) -> None:
    most = hook.trigger.per_minute
    if most is None:
        return
    now = engine.clock.now()
    minute = now.replace(second=0, microsecond=0)
    if engine.webhooks.count(hook.source_id, minute, minute + 2 * _MINUTE) > most:
        wait_s = max(1, math.ceil((minute + _MINUTE - now).total_seconds()))
        raise RateLimitedError(
            f"webhook {hook.name!r} takes {most} calls a minute: try again in {wait_s} s", wait_s
        )


def _key(engine: Engine, hook: Hook, signed: Signed) -> str:
    """Return what the job of a delivery is known by; a line break keeps it off callers' keys.

    Raises:
        ConflictError: the same bytes came before, and their job was made.
    """
    now, nonce = engine.clock.now(), engine.ids.nonce()
    stands = engine.webhooks.first_seen(hook.source_id, signed.sent, nonce, now, now + _SEEN_FOR)
    key = "\n".join(("webhook", hook.trigger.key, signed.delivery_id or stands))
    if stands != nonce and _is_made(engine, derived_id(hook.workspace, key)):
        raise ConflictError("this delivery was taken before: a new one needs a new time or body")
    return key


def _is_made(engine: Engine, job_id: str) -> bool:
    try:
        engine.jobs.get(job_id)
    except NotFoundError:
        return False
    return True
