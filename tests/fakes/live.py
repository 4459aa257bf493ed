"""Who watches: identities, topics and connections with sensible defaults."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.callers import CallerKind
from chalicelib.domain.live import Connection, Identity, Mode, Ticket, Topic, Watcher
from tests.fakes.clock import NOON

JOB = Topic(job_id="j1")
FIRST = Topic(job_id="j1", step="build", attempt=1)
SECOND = Topic(job_id="j1", step="build[0]", attempt=2)
JOBS = Topic(workspace="demo")
ANN = Identity(kind=CallerKind.USER, user_id="ann", stamp="s1")
KEY = Identity(kind=CallerKind.KEY, user_id="ann", stamp="s1", key_id="stk_12")
BOB = Identity(kind=CallerKind.USER, user_id="bob", stamp="s9")
NOBODY = Identity(kind=CallerKind.OPEN)
DIGEST = "d" * 64


def a_ticket(identity=ANN, lasts_s=30):
    return Ticket(
        digest=DIGEST,
        identity=identity,
        expires_at=NOON + timedelta(seconds=lasts_s, microseconds=5),
    )


def a_connection(connection_id="c1=", identity=ANN, mode=Mode.MESSAGES, topics=(), minutes=130):
    return Connection(
        connection_id=connection_id,
        identity=identity,
        mode=mode,
        opened_at=NOON,
        expires_at=NOON + timedelta(minutes=minutes, microseconds=5),
        topics=frozenset(topics),
    )


def a_watcher(topic, connection_id="c1=", identity=ANN, mode=Mode.MESSAGES, is_behind=False):
    return Watcher(
        connection_id=connection_id,
        topic=topic,
        identity=identity,
        mode=mode,
        is_behind=is_behind,
    )


def seen(connections, channel):
    """Return who watches, in an order of ours: stores have none."""
    return sorted(
        connections.watchers(channel), key=lambda one: (one.connection_id, one.topic.key)
    )


def numbered(count, first=1):
    """Return that many topics of one job, an attempt each."""
    return [
        Topic(job_id="j1", step="build", attempt=number) for number in range(first, first + count)
    ]
