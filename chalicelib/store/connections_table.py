"""The port `Connections` on DynamoDB, in the table `connections`.

One rule: what belongs to a connection appears and goes together with its own item, in one
transaction: no subscription is there that `close` does not find, none is lost to those who push.
Such writes are few; what a push writes is a single item.
Source: live logs, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pynamodb.transactions import TransactWrite

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.domain.live import MAX_SUBSCRIPTIONS, Connection, Ticket, Topic, Watcher
from chalicelib.engine.ports import Clock
from chalicelib.store import connections_items as items
from chalicelib.store.connections_items import ConnectionItem, LiveItem, TicketItem, WatchItem
from chalicelib.store.connections_relays import Relays
from chalicelib.store.dynamo import RefusedError, answering, bind, fewer_than

# More than the topics that it may watch: each is one reason to read it again.
_CLOSINGS = MAX_SUBSCRIPTIONS + 5


class ConnectionsTable(Relays):
    """Tickets, connections and who watches what; safe for any number of threads."""

    def __init__(self, name: str, region: str, clock: Clock, host: str | None = None) -> None:
        super().__init__(name, region, clock, host)
        self._ticket = bind(TicketItem, name, region, host)
        self._live = bind(LiveItem, name, region, host)
        self._watch = bind(WatchItem, name, region, host)

    def put_ticket(self, ticket: Ticket) -> None:
        item = self._ticket(
            keys.ticket_pk(ticket.digest),
            keys.META,
            identity=items.dump_identity(ticket.identity),
            until=ticket.expires_at,
            expires=ticket.expires_at,
        )
        with answering(self._name):
            item.save()

    def take_ticket(self, digest: str, now: datetime) -> Ticket:
        absent = NotFoundError("there is no such ticket: each is good once, for 30 seconds")
        try:
            with answering(self._name):
                item = self._ticket.get(keys.ticket_pk(digest), keys.META, consistent_read=True)
                if now >= item.until:
                    raise absent
                item.delete(self._ticket.pk.exists())
        except (self._ticket.DoesNotExist, RefusedError):
            raise absent from None
        return items.ticket_of(item, digest)

    def open(self, connection: Connection) -> None:
        item = self._own(connection.connection_id)
        items.fill(item, connection)
        beside = self._beside(connection)

        def put(together: TransactWrite) -> None:
            together.save(item)
            for each in beside:
                together.save(each)

        self._write(put)

    def close(self, connection_id: str) -> frozenset[Topic]:
        for _ in range(_CLOSINGS):
            item = self._kept(connection_id)
            if item is None:
                return frozenset()
            found = items.connection_of(item)
            try:
                self._remove(item, found)
            except RefusedError:
                # It has subscribed to something meanwhile, which must go with it.
                continue
            return found.topics
        raise UnavailableError(
            f"connection {connection_id} changes faster than it can be closed: try again"
        )

    def of_user(self, user_id: str) -> Sequence[str]:
        now = self._clock.now()
        with answering(self._name):
            found = self._live.query(keys.user_connections_pk(user_id), consistent_read=True)
            return [item.sk for item in found if now < item.until]

    def subscribe(self, connection_id: str, topic: Topic) -> Connection:
        found = self.connection(connection_id)
        if topic in found.topics:
            return found
        own, row = self._own(connection_id), self._row(found, topic)
        topics, version = self._connection.topics, self._connection.version
        has_room = topics.does_not_exist() | fewer_than(MAX_SUBSCRIPTIONS, topics)
        may = self._connection.pk.exists() & (topics.contains(topic.key) | has_room)

        def add(together: TransactWrite) -> None:
            together.update(own, [topics.add({topic.key}), version.add(1)], may)
            together.save(row)

        try:
            self._write(add)
        except RefusedError:
            self.connection(connection_id)
            raise ConflictError(
                f"this connection watches {MAX_SUBSCRIPTIONS} topics: let it unsubscribe from one"
            ) from None
        return replace(found, topics=found.topics | {topic})

    def unsubscribe(self, connection_id: str, topic: Topic) -> None:
        own, row = self._own(connection_id), self._row_of(connection_id, topic)
        topics = self._connection.topics

        def remove(together: TransactWrite) -> None:
            together.update(own, [topics.delete({topic.key})], topics.contains(topic.key))
            together.delete(row)

        try:
            self._write(remove)
        except RefusedError:
            return

    def watchers(self, channel: str) -> Sequence[Watcher]:
        now = self._clock.now()
        with answering(self._name):
            found = self._watch.query(keys.watch_pk(channel), consistent_read=True)
            return [items.watcher_of(item) for item in found if now < item.until]

    def mark_behind(self, connection_id: str, topic: Topic, *, is_behind: bool) -> None:
        behind = self._watch.behind
        action = behind.set(is_behind) if is_behind else behind.remove()
        try:
            with answering(self._name):
                self._row_of(connection_id, topic).update([action], self._watch.pk.exists())
        except RefusedError:
            return

    def _remove(self, item: ConnectionItem, found: Connection) -> None:
        is_as_read = self._connection.version == item.version
        gone = [*self._beside(found), self._of(found.connection_id)]

        def remove(together: TransactWrite) -> None:
            together.delete(item, is_as_read)
            for each in gone:
                together.delete(each)

        self._write(remove)

    def _beside(self, connection: Connection) -> list[LiveItem]:
        """Return the items that a connection has beside its own and its relay's."""
        beside: list[LiveItem] = [self._row(connection, topic) for topic in connection.topics]
        if connection.identity.user_id is not None:
            pk = keys.user_connections_pk(connection.identity.user_id)
            until = connection.expires_at
            beside.append(self._live(pk, connection.connection_id, until=until, expires=until))
        return beside

    def _row(self, connection: Connection, topic: Topic) -> WatchItem:
        row = self._row_of(connection.connection_id, topic)
        row.identity = items.dump_identity(connection.identity)
        row.speaks = connection.mode.value
        row.until = row.expires = connection.expires_at
        return row

    def _row_of(self, connection_id: str, topic: Topic) -> WatchItem:
        sk = keys.watch_sk(connection_id, topic.key)
        return self._watch(keys.watch_pk(topic.channel), sk)
