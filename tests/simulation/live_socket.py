"""A WebSocket through a simulated API Gateway: each message calls a handler of its own."""

from __future__ import annotations

import json
from collections import deque

from chalicelib.client.socket import SocketClosedError
from chalicelib.triggers import live
from chalicelib.triggers.floods import floods


class Socket:
    """One connection: what was sent to it, and whether it is still there.

    `is_lossy`: what it was sent may be lost; `is_ordered`: nothing overtakes what went before.
    """

    def __init__(self, viewer):
        self.viewer, self.place = viewer, viewer.place
        self.is_slow, self.is_lossy, self.is_ordered = (
            viewer.is_slow,
            viewer.is_lossy,
            viewer.is_ordered,
        )
        number = len(self.place.sockets) + 1
        self.connection_id = f"c{number}-{self.place.rng.getrandbits(40)}"
        # Another run of this seed had one of the same name.
        floods.forget(self.connection_id)
        self.inbox, self._reader, self._reason = deque(), None, None
        self._is_opened = False
        self.place.sockets[self.connection_id] = self

    @property
    def is_there(self):
        return self._is_opened and self._reason is None

    def open(self, shown=None, **query):
        """Shake hands. Raises SocketClosedError: it was refused."""
        event = self._event(queryStringParameters=query, **(shown or {}))
        status = live.on_connect(self.place.engine, event)["statusCode"]
        if status != 200:
            raise SocketClosedError(f"refused: {status}", status)
        # Nothing can be sent to it before the answer has gone back to the client.
        self.place.pass_time(0.3)
        self._is_opened = True
        if self.viewer.is_short:
            scheduler = self.place.scheduler
            over = scheduler.now + self.place.life_s
            scheduler.at(over, lambda: self.shut("its life is over"))
        return self

    def send(self, text):
        if self._reason is not None:
            raise SocketClosedError(self._reason)
        self.place.spawn(f"to {self.connection_id}", self._deliver, text)

    def _deliver(self, text):
        place = self.place
        self.viewer.asked[json.loads(text)["action"]] += 1
        place.scheduler.sleep(0.02 * place.random())
        live.on_message(place.engine, self._event(body=text))

    def receive(self, timeout_s):
        scheduler = self.place.scheduler
        if self.viewer.is_slow:
            scheduler.sleep(self.place.random())
        if not self.inbox and self._reason is None:
            actor = self._reader = scheduler.current
            turn = actor.waits
            scheduler.at(scheduler.now + timeout_s, lambda: scheduler.wake(actor, turn))
            scheduler.wait()
            self._reader = None
        if self.inbox:
            return self.inbox.popleft()
        if self._reason is not None:
            raise SocketClosedError(self._reason)
        return None

    def arrived(self, text):
        if self._reason is None:
            self.viewer.check(text)
            self.inbox.append(text)
            self._wake()

    def shut(self, reason):
        """End it; API Gateway nearly always tells the server so."""
        if self._reason is not None:
            return
        self._reason = reason
        self._wake()
        if self.place.random() < 0.9:
            self.place.spawn(f"end of {self.connection_id}", self._left)

    def close(self):
        self.shut("closed")

    def vanish(self):
        """Be gone, and nobody is told."""
        self._reason = "vanished"

    def _left(self):
        live.on_disconnect(self.place.engine, self._event())

    def _wake(self):
        if self._reader is not None:
            self.place.scheduler.wake(self._reader)

    def _event(self, **more):
        return {"requestContext": {"connectionId": self.connection_id}, **more}
