"""The other ends of connections: what was sent to each, which are gone, and which are full."""

from __future__ import annotations

import json

from chalicelib.domain.errors import (
    NotFoundError,
    RateLimitedError,
    StroemError,
    UnavailableError,
)
from chalicelib.domain.live import MAX_MESSAGE_BYTES


class FakePushes:
    """Keeps what is sent; `gone`, `full` and `down` are ids of connections that refuse it."""

    largest = MAX_MESSAGE_BYTES

    def __init__(self):
        self.sent = []
        self.closed = []
        self.gone = set()
        self.full = set()
        self.down = set()

    def post(self, connection_id, text):
        assert len(text.encode()) <= self.largest
        if connection_id in self.gone or connection_id in self.closed:
            raise NotFoundError(f"connection {connection_id} is gone")
        if connection_id in self.full:
            raise RateLimitedError("too much at once", 1)
        if connection_id in self.down:
            raise UnavailableError("API Gateway did not answer")
        self.sent.append((connection_id, text))

    def post_each(self, texts):
        refused = {}
        for connection_id, own in texts.items():
            try:
                for text in own:
                    self.post(connection_id, text)
            except StroemError as error:
                refused[connection_id] = error
        return refused

    def close(self, connection_id):
        self.closed.append(connection_id)

    def told(self, connection_id, kind=None):
        """Return the messages to a connection, of one kind or all, and forget them."""
        mine = [json.loads(text) for to, text in self.sent if to == connection_id]
        self.sent = [(to, text) for to, text in self.sent if to != connection_id]
        return [one for one in mine if kind in (None, one["type"])]

    def frames(self, connection_id):
        """Return the texts that were sent to a connection, as they were sent."""
        return [text for to, text in self.sent if to == connection_id]
