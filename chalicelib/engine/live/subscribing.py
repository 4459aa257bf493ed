"""What clients ask for on a connection: to watch a topic, or no more, lines again, how far it is.

One rule: a subscription is written before what is there is read, so that no line is missed; what
the caller may see is asked anew each time.
Source: live logs, section 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from chalicelib.domain import permissions
from chalicelib.domain.callers import Caller, Permission
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.job import Job
from chalicelib.domain.keys import LAST_LINE
from chalicelib.domain.live import MAX_SUBSCRIPTIONS, WATCHED_FOR, Connection, Topic
from chalicelib.domain.loops import flow_key
from chalicelib.domain.permissions import Verdict
from chalicelib.engine.access import Rights, no_workspace
from chalicelib.engine.engine import Engine
from chalicelib.engine.job_logs import is_archived
from chalicelib.engine.live import messages
from chalicelib.engine.live.attempts import begun, head_of, heads_of, one_head
from chalicelib.engine.live.backfill import MOST_APART, Wanted, backfill, refuse_expired
from chalicelib.engine.live.messages import Attempt, ErrorCode, Head
from chalicelib.engine.live.parting import leave
from chalicelib.engine.live.requests import Ping, Range, RefusedError, Subscribe, Unsubscribe
from chalicelib.engine.redaction import redactor_for

_MOST_RUNNING = 50
_MOST_HEADS = 200


def subscribe(
    engine: Engine, caller: Caller, connection: Connection, asked: Subscribe
) -> Iterator[str]:
    """Let the connection watch the topic; yield what it is told of what is there.

    Raises:
        NotFoundError: there is no such thing, it is hidden, or its log is only in the archive.
        PermissionDeniedError: the caller may read no jobs.
        RefusedError: the connection watches too much.
    """
    topic = asked.topic
    job = _seen(engine, caller, topic)
    if job is not None:
        refuse_expired(engine, job)
    try:
        engine.connections.subscribe(connection.connection_id, topic)
    except ConflictError:
        text = f"a connection watches {MAX_SUBSCRIPTIONS} topics at most: open another"
        raise RefusedError(ErrorCode.TOO_MANY, text) from None
    if job is None:
        yield messages.subscribed(asked.message_id, topic, (), more=False)
    else:
        if not is_archived(job):
            engine.jobs.watch(job.job_id, engine.clock.now() + WATCHED_FOR)
        heads, more = _heads(engine, topic)
        yield messages.subscribed(asked.message_id, topic, heads, more=more)
        yield from _behind(engine, job, heads, asked.have)
    yield messages.caught_up(asked.message_id, topic)


def unsubscribe(engine: Engine, connection: Connection, asked: Unsubscribe) -> None:
    """Let the connection watch the topic no more."""
    engine.connections.unsubscribe(connection.connection_id, asked.topic)
    # A job that it does not watch is none of its business.
    if asked.topic.job_id is not None and asked.topic in connection.topics:
        leave(engine, asked.topic.job_id)


def again(engine: Engine, caller: Caller, connection: Connection, asked: Range) -> Iterator[str]:
    """Yield lines of an attempt again.

    Raises:
        NotFoundError: as `subscribe`; or the connection watches no topic that they are of, and the
            attempt is not over: with its end, a subscription to it by name ends too.
    """
    topic = asked.topic
    job = _seen(engine, caller, topic)
    if job is not None:
        refuse_expired(engine, job)
        is_watched = connection.topics & {topic, Topic(job_id=topic.job_id)}
        if not (is_watched or _is_over(engine, topic)):
            raise NotFoundError("this connection does not watch that attempt: subscribe first")
        head = head_of(engine, _attempt_in(topic), has_ended=False)
        last = min(head.head, asked.last or LAST_LINE)
        wanted = [Wanted(head.attempt, asked.first - 1, last)]
        yield from _lines(engine, job, wanted)
    yield messages.caught_up(asked.message_id, topic)


def ping(engine: Engine, caller: Caller, connection: Connection, asked: Ping) -> str:
    """Note that the jobs are still watched; return how far their attempts are."""
    rights = Rights.of(engine, caller)
    heads: list[Head] = []
    by_job: dict[str, list[Topic]] = {}
    for topic in sorted(connection.topics, key=lambda one: one.key):
        if topic.job_id is not None:
            by_job.setdefault(topic.job_id, []).append(topic)
    # Each job has its share of what one message holds, and one function reads.
    most = min(_MOST_RUNNING, _MOST_HEADS // max(len(by_job), 1))
    for job_id, topics in by_job.items():
        try:
            job = engine.jobs.get(job_id)
        except NotFoundError:
            continue
        if may_watch(rights, job):
            renew(engine, job)
            heads.extend(_told(engine, topics, most))
    return messages.pong(asked.message_id, heads)


def may_watch(rights: Rights, job: Job) -> bool:
    """Say whether the caller may read the job's log and see what becomes of it."""
    found = rights.access_to(job)
    verdict = permissions.verdict(rights.caller, Permission.EXECUTION_READ, found)
    return verdict is Verdict.ALLOWED


def renew(engine: Engine, job: Job) -> None:
    """Note that the job is still watched, where less than two thirds of the time is left."""
    now = engine.clock.now()
    left = None if job.watched_until is None else job.watched_until - now
    if not is_archived(job) and (left is None or left < WATCHED_FOR * 2 / 3):
        engine.jobs.watch(job.job_id, now + WATCHED_FOR)


def _seen(engine: Engine, caller: Caller, topic: Topic) -> Job | None:
    """Return the job that the topic is of, if it is of one. Raises as `subscribe`."""
    rights = Rights.of(engine, caller)
    if topic.workspace is not None:
        rights.workspace(Permission.EXECUTION_READ, topic.workspace)
        try:
            engine.registry.workspace(topic.workspace)
        except NotFoundError:
            raise NotFoundError(no_workspace(topic.workspace)) from None
        return None
    job_id = topic.job_id or ""
    rights.job(Permission.EXECUTION_READ, job_id)
    job = engine.jobs.get(job_id)
    if topic.step is not None and flow_key(topic.step) not in engine.plan_of(job).flow.steps:
        raise NotFoundError(f"job {job_id} has no step {topic.step[:80]!r}")
    return job


def _is_over(engine: Engine, topic: Topic) -> bool:
    return any(head.has_ended for head in one_head(engine, _attempt_in(topic)))


def _heads(engine: Engine, topic: Topic) -> tuple[list[Head], bool]:
    if topic.step is not None:
        return list(one_head(engine, _attempt_in(topic))), False
    job_id = topic.job_id or ""
    found, more = begun(engine, engine.jobs.load(job_id))
    return heads_of(engine, job_id, found), more


def _behind(
    engine: Engine, job: Job, heads: Sequence[Head], have: Mapping[tuple[str, int], int]
) -> Iterator[str]:
    """Yield what is behind what the client has, and which attempts of these are over."""
    # The newest stand first there; people read the oldest first.
    lacking = [head for head in reversed(heads) if head.head > _had(head, have)]
    wanted = [Wanted(head.attempt, _had(head, have), head.head) for head in lacking]
    yield from _lines(engine, job, wanted)
    if len(lacking) > MOST_APART:
        # The answer has just said it of all of them, and each message is a request.
        return
    for head in lacking:
        if head.has_ended:
            yield messages.end(head.attempt, head.head)


def _lines(engine: Engine, job: Job, wanted: list[Wanted]) -> Iterator[str]:
    if wanted:
        redactor = redactor_for(engine, job, engine.plan_of(job).definition)
        yield from backfill(engine, job.job_id, wanted, redactor)


def _told(engine: Engine, topics: Iterable[Topic], most: int) -> Iterator[Head]:
    """Yield the heads of a job's attempts that are watched by name, or up to `most` that run."""
    for topic in topics:
        if topic.step is not None:
            yield from one_head(engine, _attempt_in(topic))
        else:
            job_id = topic.job_id or ""
            found, _ = begun(engine, engine.jobs.load(job_id))
            running = [one for one in found if not one.has_ended][:most]
            yield from heads_of(engine, job_id, running)


def _had(head: Head, have: Mapping[tuple[str, int], int]) -> int:
    return have.get((head.attempt.step, head.attempt.number), 0)


def _attempt_in(topic: Topic) -> Attempt:
    return Attempt(topic.job_id or "", topic.step or "", topic.attempt or 0)
