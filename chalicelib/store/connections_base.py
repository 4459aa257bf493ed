"""What all that is kept of a connection stands on: its item, and writes together with it.

One rule: a transaction that another one crossed is tried again, since nothing of it has happened.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from pynamodb.transactions import TransactWrite

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.live import Connection
from chalicelib.engine.ports import Clock
from chalicelib.store import connections_items as items
from chalicelib.store.connections_items import ConnectionItem
from chalicelib.store.dynamo import CrossedError, RefusedError, answering, bind, connection

# Transactions about one connection get in each other's way; each takes some 10 ms.
_TRIES = 12
_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.32


class ConnectionsBase:
    """The items of connections themselves. The clock tells which are over."""

    def __init__(self, name: str, region: str, clock: Clock, host: str | None = None) -> None:
        self._name = name
        self._clock = clock
        self._shared = connection(region, host)
        self._connection = bind(ConnectionItem, name, region, host)

    def connection(self, connection_id: str) -> Connection:
        item = self._kept(connection_id)
        if item is None or self._clock.now() >= item.until:
            raise NotFoundError(f"there is no connection {connection_id}")
        return items.connection_of(item)

    def wake(self, connection_id: str) -> None:
        # Whatever changes: the stream brings no write that changes nothing.
        changed = self._connection.version.add(1)
        try:
            with answering(self._name):
                self._own(connection_id).update([changed], self._connection.pk.exists())
        except RefusedError:
            return

    def _kept(self, connection_id: str) -> ConnectionItem | None:
        """Return the item of a connection, also one that is over."""
        own = self._own(connection_id)
        with answering(self._name):
            try:
                return self._connection.get(own.pk, own.sk, consistent_read=True)
            except self._connection.DoesNotExist:
                return None

    def _own(self, connection_id: str) -> ConnectionItem:
        return self._connection(keys.connection_pk(connection_id), keys.CONNECTION_SK)

    def _write(self, add_to: Callable[[TransactWrite], None]) -> None:
        """Write all that `add_to` adds, or nothing.

        Raises:
            RefusedError: a condition did not hold.
        """
        for tried in range(_TRIES):
            try:
                with answering(self._name), TransactWrite(connection=self._shared) as together:
                    add_to(together)
            except CrossedError:
                if tried + 1 == _TRIES:
                    raise
                pause_s = min(_PAUSE_S * 2**tried, _LONGEST_PAUSE_S)
                time.sleep(random.uniform(0, pause_s))  # noqa: S311 - jitter is no secret
            else:
                return
