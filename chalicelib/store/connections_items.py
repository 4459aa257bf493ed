"""How tickets, connections and subscriptions stand in the table `connections`.

One rule: every item says until when it is there (`until`), since what is over is not there even
while DynamoDB has not removed it; `expires` lets it do so.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode

from pynamodb.attributes import (
    BooleanAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)

from chalicelib.domain import keys
from chalicelib.domain.callers import CallerKind
from chalicelib.domain.live import Connection, Identity, Mode, Relay, Ticket, Topic, Watcher
from chalicelib.domain.logs import stamp
from chalicelib.store.attributes import InstantAttribute, dumped, parsed
from chalicelib.store.dynamo import Item

# A loop has up to 10,000 attempts, and an item 400 KB at most.
_LONGEST_PLAIN = 4096


class LiveItem(Item):
    """What all have, and all that a user's own list of connections has."""

    until = InstantAttribute()
    expires = TTLAttribute()


class TicketItem(LiveItem):
    """A ticket; its key has the digest of its secret."""

    identity = UnicodeAttribute()


class ConnectionItem(LiveItem):
    """A connection. By `mode`, the filter of the stream tells those of bare lines.

    No other item has a `mode`. `topics` are the keys of what it watches; `version` rises whenever
    something is added to what `close` must remove.
    """

    identity = UnicodeAttribute()
    mode = UnicodeAttribute()
    opened_at = InstantAttribute()
    topics = UnicodeSetAttribute(null=True)
    version = NumberAttribute(default=0)


class WatchItem(LiveItem):
    """A subscription: all that a push needs, so that it reads nothing else."""

    identity = UnicodeAttribute()
    speaks = UnicodeAttribute()
    behind = BooleanAttribute(null=True)


class RelayItem(LiveItem):
    """How far a connection of bare lines is. `write` is a nonce of the write that was last."""

    body = UnicodeAttribute()
    version = NumberAttribute()
    write = UnicodeAttribute()


def dump_identity(identity: Identity) -> str:
    """Return what `load_identity` reads."""
    return dumped(
        [identity.kind.value, identity.user_id, identity.stamp, identity.key_id],
    )


def load_identity(text: str) -> Identity:
    """Return what `dump_identity` was given."""
    kind, user_id, stamped, key_id = json.loads(text)
    return Identity(kind=CallerKind(kind), user_id=user_id, stamp=stamped, key_id=key_id)


def ticket_of(item: TicketItem, digest: str) -> Ticket:
    """Return the ticket that an item holds."""
    return Ticket(digest=digest, identity=load_identity(item.identity), expires_at=item.until)


def fill(item: ConnectionItem, connection: Connection) -> None:
    """Set all of a connection's item but its key."""
    item.identity = dump_identity(connection.identity)
    item.mode = connection.mode.value
    item.opened_at = connection.opened_at
    item.until = item.expires = connection.expires_at
    # DynamoDB has no empty sets.
    item.topics = {topic.key for topic in connection.topics} or None


def connection_of(item: ConnectionItem) -> Connection:
    """Return the connection that an item holds."""
    return Connection(
        connection_id=keys.connection_of(item.pk),
        identity=load_identity(item.identity),
        mode=Mode(item.mode),
        opened_at=item.opened_at,
        expires_at=item.until,
        topics=frozenset(Topic.of_key(key) for key in item.topics or ()),
    )


def watcher_of(item: WatchItem) -> Watcher:
    """Return the subscription that an item holds."""
    connection_id, key = keys.watch_of(item.sk)
    return Watcher(
        connection_id=connection_id,
        topic=Topic.of_key(key),
        identity=load_identity(item.identity),
        mode=Mode(item.speaks),
        is_behind=bool(item.behind),
    )


def dump_relay(relay: Relay) -> str:
    """Return all of it but its connection and version; packed, where that is long."""
    text = dumped(
        [
            [[step, attempt, last] for (step, attempt), last in sorted(relay.sent.items())],
            relay.server_after,
            None if relay.busy_until is None else stamp(relay.busy_until),
            relay.is_wanted,
        ]
    )
    return text if len(text) <= _LONGEST_PLAIN else _packed(text)


def relay_of(item: RelayItem) -> Relay:
    """Return the relay that an item holds."""
    is_plain = item.body.startswith("[")
    body = json.loads(item.body if is_plain else zlib.decompress(b64decode(item.body)))
    sent, server_after, busy_until, is_wanted = body
    return Relay(
        connection_id=keys.connection_of(item.pk),
        sent={(step, attempt): last for step, attempt, last in sent},
        server_after=server_after,
        busy_until=None if busy_until is None else parsed(busy_until),
        is_wanted=is_wanted,
        version=int(item.version),
    )


def _packed(text: str) -> str:
    return b64encode(zlib.compress(text.encode())).decode()
