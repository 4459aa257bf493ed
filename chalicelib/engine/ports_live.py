"""What the engine needs for live pushes: the table `connections`, and the way to a connection.

Everything in the table expires. Reads are strongly consistent. Any method may raise
UnavailableError. Source: live logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from chalicelib.domain.errors import NotFoundError, StroemError
from chalicelib.domain.live import Connection, Relay, Ticket, Topic, Watcher


class Connections(Protocol):
    """The table `connections`: tickets, connections, who watches what."""

    def put_ticket(self, ticket: Ticket) -> None:
        """Keep a ticket until it is taken or expires."""

    def take_ticket(self, digest: str, now: datetime) -> Ticket:
        """Return the ticket and remove it: nobody gets it twice.

        Raises NotFoundError: there is none, it was taken, or it has expired.
        """

    def open(self, connection: Connection) -> None:
        """Keep a new connection."""

    def connection(self, connection_id: str) -> Connection:
        """Raises NotFoundError: it is closed, or was never open."""

    def subscribe(self, connection_id: str, topic: Topic) -> Connection:
        """Let the connection watch the topic, and return it as it is then. Safe to repeat.

        Raises NotFoundError: it is closed. ConflictError: it watches `MAX_SUBSCRIPTIONS` others.
        """

    def wake(self, connection_id: str) -> None:
        """Let the table's stream tell of the connection as if it were new.

        Of one that is closed, nothing is told.
        """

    def unsubscribe(self, connection_id: str, topic: Topic) -> None:
        """Let the connection not watch the topic any more. Safe to repeat."""

    def close(self, connection_id: str) -> frozenset[Topic]:
        """Forget the connection and all that it watches; return that. Safe to repeat."""

    def of_user(self, user_id: str) -> Sequence[str]:
        """Return the ids of the connections that a user, or a key of his, has open."""

    def watchers(self, channel: str) -> Sequence[Watcher]:
        """Return who watches a topic of the channel, those that are expired left out."""

    def mark_behind(self, connection_id: str, topic: Topic, *, is_behind: bool) -> None:
        """Note of a subscription whether its watcher must be told that it missed something.

        Safe to repeat; of a subscription that is gone, nothing is kept.
        """

    def relay(self, connection_id: str) -> Relay:
        """Return how far a connection of bare lines is; nothing sent, if nothing was kept."""

    def put_relay(self, relay: Relay) -> Relay:
        """Replace the version that `relay` names by its content; return it with the new version.

        Raises ConflictError: another wrote in between. NotFoundError: the connection is closed.
        """


class Pushes(Protocol):
    """Sends to open connections, wherever they are."""

    def post(self, connection_id: str, text: str) -> None:
        """Send one message.

        Raises NotFoundError: the connection is gone. RateLimitedError: it takes no more just now.
        """

    def post_each(self, texts: Mapping[str, Sequence[str]]) -> Mapping[str, StroemError]:
        """Send to each connection its messages, in their order; to several at a time.

        Return of each that did not take one why: as `post` raises it. Nothing of what was behind
        that message was sent to it.
        """

    def close(self, connection_id: str) -> None:
        """End the connection; one that is gone is no error."""


class NoConnections:
    """Nothing is watched: what an engine has that pushes nothing."""

    def put_ticket(self, ticket: Ticket) -> None:
        raise NotImplementedError(f"no connections are kept here: {ticket.expires_at}")

    def take_ticket(self, digest: str, now: datetime) -> Ticket:
        del digest, now
        raise NotFoundError("there is no such ticket")

    def open(self, connection: Connection) -> None:
        raise NotImplementedError(f"no connections are kept here: {connection.connection_id}")

    def connection(self, connection_id: str) -> Connection:
        raise NotFoundError(f"there is no connection {connection_id}")

    def subscribe(self, connection_id: str, topic: Topic) -> Connection:
        raise NotFoundError(f"there is no connection {connection_id} to watch {topic.key}")

    def wake(self, connection_id: str) -> None:
        del connection_id

    def unsubscribe(self, connection_id: str, topic: Topic) -> None:
        del connection_id, topic

    def close(self, connection_id: str) -> frozenset[Topic]:
        del connection_id
        return frozenset()

    def of_user(self, user_id: str) -> Sequence[str]:
        del user_id
        return ()

    def watchers(self, channel: str) -> Sequence[Watcher]:
        del channel
        return ()

    def mark_behind(self, connection_id: str, topic: Topic, *, is_behind: bool) -> None:
        del connection_id, topic, is_behind

    def relay(self, connection_id: str) -> Relay:
        return Relay(connection_id=connection_id)

    def put_relay(self, relay: Relay) -> Relay:
        raise NotFoundError(f"there is no connection {relay.connection_id}")


class NoPushes:
    """No connection is open anywhere."""

    def post(self, connection_id: str, text: str) -> None:
        del text
        raise NotFoundError(f"there is no connection {connection_id}")

    def post_each(self, texts: Mapping[str, Sequence[str]]) -> Mapping[str, StroemError]:
        return {one: NotFoundError(f"there is no connection {one}") for one in texts}

    def close(self, connection_id: str) -> None:
        del connection_id
