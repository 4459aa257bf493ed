"""What is watched live: topics, the connections that watch them, and the tickets that open those.

One rule: a topic belongs to one channel, a job or a workspace, under which all who watch any of it
are found by one read.
Source: live logs, sections 2.1 to 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.callers import Caller, CallerKind

# API Gateway bills by 32 KB and takes no larger frame.
MAX_MESSAGE_BYTES = 28 * 1024
MAX_SUBSCRIPTIONS = 20
TICKET_FOR = timedelta(seconds=30)
# API Gateway ends every connection after two hours.
CONNECTION_FOR = timedelta(hours=2, minutes=10)
# For so long a job counts as watched after somebody who watches it was heard.
WATCHED_FOR = timedelta(minutes=3)
PING_EVERY_S = 5.0


class Mode(StrEnum):
    """How a connection speaks: in messages of ours, or in bare lines as Strøm's own path does."""

    MESSAGES = "messages"
    LINES = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who opened a connection, so that what he may do can be asked again at any time.

    `stamp` is that of the user at that moment: it changes when his tokens are taken back.
    """

    kind: CallerKind
    user_id: str | None = None
    stamp: str | None = None
    key_id: str | None = None

    @classmethod
    def of(cls, caller: Caller) -> Identity:
        """Return the identity of a caller."""
        return cls(
            kind=caller.kind, user_id=caller.user_id, stamp=caller.stamp, key_id=caller.key_id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The jobs of a workspace, a whole job, or the log of one attempt of one of its steps.

    Either `workspace` is there or `job_id`; `step` and `attempt` come together.
    """

    workspace: str | None = None
    job_id: str | None = None
    step: str | None = None
    attempt: int | None = None

    @property
    def channel(self) -> str:
        """Return the name under which all who watch any of it are found."""
        return f"job/{self.job_id}" if self.job_id else f"workspace/{self.workspace}"

    @property
    def key(self) -> str:
        """Return a text that no other topic has. `]` and `/` end no step's name."""
        if self.step is None:
            return self.channel
        return f"{self.channel}/{self.step}]/{self.attempt}"

    @classmethod
    def of_key(cls, key: str) -> Topic:
        """Return the topic whose `key` that is."""
        kind, _, rest = key.partition("/")
        if kind == "workspace":
            return cls(workspace=rest)
        job_id, _, attempt_of = rest.partition("/")
        if not attempt_of:
            return cls(job_id=job_id)
        step, _, attempt = attempt_of.rpartition("]/")
        return cls(job_id=job_id, step=step, attempt=int(attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What opens one connection, once. Only the digest of the secret is kept."""

    digest: str
    identity: Identity
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection. `topics` are those that it watches."""

    connection_id: str
    identity: Identity
    mode: Mode
    opened_at: datetime
    expires_at: datetime
    topics: frozenset[Topic] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """One subscription. `is_behind`: something was not sent to it, and it was not yet told so."""

    connection_id: str
    topic: Topic
    identity: Identity
    mode: Mode
    is_behind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """How far a connection of bare lines is: the last line sent of each step's attempt.

    `server_after` is the time of the last `_server` line sent. While `busy_until` is not over, one
    process sends; another that has news leaves `is_wanted` behind instead of sending itself.
    `version` changes with every write.
    """

    connection_id: str
    sent: Mapping[tuple[str, int], int] = field(default_factory=dict)
    server_after: str = ""
    busy_until: datetime | None = None
    is_wanted: bool = False
    version: int = 0
