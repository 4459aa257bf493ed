"""How far each connection of bare lines is, in the table `connections`.

One rule: it begins in one transaction with its connection's item, so that a connection that is
closed meanwhile leaves none behind; from then on it is written by itself, version by version.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError
from chalicelib.domain.live import Relay
from chalicelib.engine.ports import Clock
from chalicelib.store import connections_items as items
from chalicelib.store.connections_base import ConnectionsBase
from chalicelib.store.connections_items import RelayItem
from chalicelib.store.dynamo import RefusedError, answering, bind


class Relays(ConnectionsBase):
    """Where bare lines were sent to."""

    def __init__(self, name: str, region: str, clock: Clock, host: str | None = None) -> None:
        super().__init__(name, region, clock, host)
        self._relay = bind(RelayItem, name, region, host)

    def relay(self, connection_id: str) -> Relay:
        item = self._relayed(connection_id)
        if item is None or self._clock.now() >= item.until:
            return Relay(connection_id=connection_id)
        return items.relay_of(item)

    def put_relay(self, relay: Relay) -> Relay:
        nonce = uuid4().hex
        try:
            if relay.version == 0:
                self._begin(relay, nonce)
            else:
                self._go_on(relay, nonce)
        except RefusedError:
            kept = self._relayed(relay.connection_id)
            # An earlier try of ours may have arrived.
            if kept is None or kept.write != nonce:
                self.connection(relay.connection_id)
                raise ConflictError(
                    f"the relay of {relay.connection_id} was changed in between"
                ) from None
        return replace(relay, version=relay.version + 1)

    def _begin(self, relay: Relay, nonce: str) -> None:
        found = self.connection(relay.connection_id)
        own, item = self._own(relay.connection_id), self._of(relay.connection_id)
        item.until = item.expires = found.expires_at
        item.body, item.version, item.write = items.dump_relay(relay), 1, nonce
        # A write that changes nothing: a mere check would need a right of its own.
        as_it_was = self._connection.version.add(0)

        def begin(together: TransactWrite) -> None:
            together.update(own, [as_it_was], self._connection.pk.exists())
            together.save(item, self._relay.pk.does_not_exist())

        self._write(begin)

    def _go_on(self, relay: Relay, nonce: str) -> None:
        changes: list[Action] = [
            self._relay.body.set(items.dump_relay(relay)),
            self._relay.version.set(relay.version + 1),
            self._relay.write.set(nonce),
        ]
        with answering(self._name):
            self._of(relay.connection_id).update(changes, self._relay.version == relay.version)

    def _relayed(self, connection_id: str) -> RelayItem | None:
        own = self._of(connection_id)
        with answering(self._name):
            try:
                return self._relay.get(own.pk, own.sk, consistent_read=True)
            except self._relay.DoesNotExist:
                return None

    def _of(self, connection_id: str) -> RelayItem:
        return self._relay(keys.connection_pk(connection_id), keys.RELAY_SK)
