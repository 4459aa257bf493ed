"""The port `Connections` in memory, for tests, and as the model.

One rule: as in the table, what has expired is not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.live import (
    MAX_SUBSCRIPTIONS,
    Connection,
    Relay,
    Ticket,
    Topic,
    Watcher,
)


class MemoryConnections:
    """Tickets, connections and who watches what. `now` tells the time.

    `woken` says how often each connection was: there is no stream to tell it.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._tickets: dict[str, Ticket] = {}
        self._open: dict[str, Connection] = {}
        self._behind: set[tuple[str, str]] = set()
        self._relays: dict[str, Relay] = {}
        self.woken: Counter[str] = Counter()

    def put_ticket(self, ticket: Ticket) -> None:
        self._tickets[ticket.digest] = ticket

    def take_ticket(self, digest: str, now: datetime) -> Ticket:
        ticket = self._tickets.pop(digest, None)
        if ticket is None or now >= ticket.expires_at:
            raise NotFoundError("there is no such ticket")
        return ticket

    def open(self, connection: Connection) -> None:
        self._open[connection.connection_id] = connection

    def connection(self, connection_id: str) -> Connection:
        found = self._open.get(connection_id)
        if found is None or self._now() >= found.expires_at:
            raise NotFoundError(f"there is no connection {connection_id}")
        return found

    def subscribe(self, connection_id: str, topic: Topic) -> Connection:
        found = self.connection(connection_id)
        if topic not in found.topics and len(found.topics) >= MAX_SUBSCRIPTIONS:
            raise ConflictError(f"connection {connection_id} watches {MAX_SUBSCRIPTIONS} topics")
        self._open[connection_id] = replace(found, topics=found.topics | {topic})
        return self._open[connection_id]

    def wake(self, connection_id: str) -> None:
        if connection_id in self._open:
            self.woken[connection_id] += 1

    def unsubscribe(self, connection_id: str, topic: Topic) -> None:
        found = self._open.get(connection_id)
        if found is not None:
            self._open[connection_id] = replace(found, topics=found.topics - {topic})
        self._behind.discard((connection_id, topic.key))

    def close(self, connection_id: str) -> frozenset[Topic]:
        found = self._open.pop(connection_id, None)
        self._relays.pop(connection_id, None)
        self._behind = {pair for pair in self._behind if pair[0] != connection_id}
        return found.topics if found else frozenset()

    def of_user(self, user_id: str) -> Sequence[str]:
        return [
            one.connection_id
            for one in self._open.values()
            if one.identity.user_id == user_id and self._now() < one.expires_at
        ]

    def watchers(self, channel: str) -> Sequence[Watcher]:
        return [
            Watcher(
                connection_id=one.connection_id,
                topic=topic,
                identity=one.identity,
                mode=one.mode,
                is_behind=(one.connection_id, topic.key) in self._behind,
            )
            for one in self._open.values()
            for topic in sorted(one.topics, key=lambda topic: topic.key)
            if topic.channel == channel and self._now() < one.expires_at
        ]

    def mark_behind(self, connection_id: str, topic: Topic, *, is_behind: bool) -> None:
        found = self._open.get(connection_id)
        if is_behind and found is not None and topic in found.topics:
            self._behind.add((connection_id, topic.key))
        else:
            self._behind.discard((connection_id, topic.key))

    def relay(self, connection_id: str) -> Relay:
        return self._relays.get(connection_id, Relay(connection_id=connection_id))

    def put_relay(self, relay: Relay) -> Relay:
        self.connection(relay.connection_id)
        if self.relay(relay.connection_id).version != relay.version:
            raise ConflictError(f"the relay of {relay.connection_id} was changed in between")
        kept = replace(relay, version=relay.version + 1)
        self._relays[relay.connection_id] = kept
        return kept
