"""Webhooks that go out: one POST, of whose answer only the status counts."""

from __future__ import annotations

from chalicelib.engine.ports_notify import Outgoing
from chalicelib.net.guard import GuardedHttp


class GuardedSender:
    """Posts through the guard."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    def post(self, outgoing: Outgoing) -> int:
        return self._http.request("POST", outgoing.url, outgoing.headers, outgoing.body).status
