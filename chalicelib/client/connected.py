"""A dialogue held over WebSockets, one after the other, for as long as it takes.

One rule: a connection that ends is followed by another, with a new ticket and a pause that grows;
only where none can be had this ends with `NoLiveError`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from chalicelib.client.dialogue import NOT_OURS, Dialogue, Ended, Fetch, looked
from chalicelib.client.events import Event, Reconnected
from chalicelib.client.machine import Machine
from chalicelib.client.rest import FollowTimeoutError, Rest, ServerError
from chalicelib.client.socket import Socket, SocketClosedError

# API Gateway ends a connection after two hours; ours ends a little before, not all at once.
_LIFE_S = 110 * 60
_LIFE_JITTER_S = 5 * 60
_TRIES = 2
_TRIES_AGAIN = 6
_TRIES_SILENT = 2
_FIRST_PAUSE_S = 0.25
_SLOWEST_PAUSE_S = 8.0
_BRIEF_S = 5.0
_UNFETCHED_S = 10.0
_LOOK_AGAIN_S = 1.0


class NoLiveError(Exception):
    """There are no live updates to be had. `reason` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Connected:
    """One dialogue's connections. `until`: when to give up, by the machine's clock."""

    rest: Rest
    machine: Machine
    until: float | None = None
    _failures: int = 0
    _refusals: int = 0
    _unfetched_since: float | None = None
    _look_at: float = 0.0
    _has_heard: bool = False

    def hold(self, dialogue: Dialogue) -> Iterator[Event]:
        """Yield what the dialogue tells until it is over.

        Raises:
            NoLiveError: no connection can be had.
            ServerError: what is followed is not there.
            FollowTimeoutError: it is too late.
        """
        has_begun, reason = False, None
        while not dialogue.is_over:
            self._check_time()
            socket = self._opened(_TRIES_AGAIN if has_begun else _TRIES)
            if socket is None:
                continue
            if reason is not None:
                yield Reconnected(reason)
            has_begun, began, self._has_heard = True, self.machine.now(), False
            try:
                reason = yield from self._talk(socket, dialogue)
            finally:
                socket.close()
            self._judge(dialogue, reason, self.machine.now() - began)

    def look(self, dialogue: Dialogue) -> Iterator[Event]:
        """Ask the REST API how things are; yield what the dialogue tells. Raises ServerError."""
        yield from looked(self.rest, dialogue, self.machine.now)

    def _judge(self, dialogue: Dialogue, reason: str | None, lasted_s: float) -> None:
        """Pause before another connection, where one was no good. Raises NoLiveError."""
        if dialogue.is_over or (self._has_heard and lasted_s >= _BRIEF_S):
            self._failures = 0
        else:
            tries = _TRIES_AGAIN if lasted_s < _BRIEF_S else _TRIES_SILENT
            self._failed(reason or "the server ends each connection", tries)

    def _opened(self, tries: int) -> Socket | None:
        """Return a connection; None after a pause in which there may come to be one."""
        try:
            ticket = self.rest.post("/api/ws-ticket")
            url = f"{ticket['url']}?ticket={ticket['ticket']}"
        except (KeyError, TypeError):
            raise NoLiveError("no ticket: the answer makes no sense") from None
        except ServerError as error:
            if not error.is_passing:
                raise NoLiveError(f"no ticket: {error.message}") from None
            self._failed(error.message, tries)
            return None
        try:
            return self.machine.connect(url)
        except SocketClosedError as error:
            self._failed(error.reason, tries)
            return None

    def _failed(self, reason: str, tries: int) -> None:
        self._failures += 1
        if self._failures >= tries:
            raise NoLiveError(reason)
        pause_s = min(_FIRST_PAUSE_S * 2**self._failures, _SLOWEST_PAUSE_S)
        self.machine.sleep(pause_s * (0.5 + self.machine.chance() / 2))

    def _talk(self, socket: Socket, dialogue: Dialogue) -> Generator[Event, None, str | None]:
        """Yield what comes over one connection; return why it ended, None if as planned."""
        dialogue.opened(self.machine.now())
        jitter_s = _LIFE_JITTER_S * (self.machine.chance() * 2 - 1)
        renew_at = self.machine.now() + _LIFE_S + jitter_s
        try:
            while not dialogue.is_over and self.machine.now() < renew_at:
                self._check_time()
                yield from self._turn(socket, dialogue)
                if dialogue.is_dead(self.machine.now()):
                    return "the server did not answer"
        except SocketClosedError as error:
            return error.reason
        except Ended as ended:
            return self._ended(ended)
        return None

    def _turn(self, socket: Socket, dialogue: Dialogue) -> Iterator[Event]:
        if dialogue.wants_look and self.machine.now() >= self._look_at:
            yield from self._look_bravely(dialogue)
        while dialogue.fetches:
            yield from self._fetched(dialogue, dialogue.fetches.popleft())
        while dialogue.outbox:
            socket.send(json.dumps(dialogue.outbox.popleft()))
        if dialogue.is_over:
            return
        text = socket.receive(self._wait_s(dialogue))
        if text is not None:
            self._has_heard = True
            yield from _understood(dialogue.take(_message(text), self.machine.now()))
        dialogue.tick(self.machine.now())

    def _look_bravely(self, dialogue: Dialogue) -> Iterator[Event]:
        try:
            yield from self.look(dialogue)
        except ServerError as error:
            if not error.is_passing:
                raise
            self._look_at = self.machine.now() + _LOOK_AGAIN_S

    def _fetched(self, dialogue: Dialogue, fetch: Fetch) -> Iterator[Event]:
        try:
            content = gzip.decompress(self.rest.fetch(fetch.url)).decode()
            rows = [json.loads(line) for line in content.split("\n") if line]
        except (ServerError, OSError, EOFError, zlib.error, ValueError) as error:
            # The lines are missing now, and asked for as any others.
            self._check_unfetched(error)
            return
        self._unfetched_since = None
        yield from _understood(dialogue.fetched(fetch, rows, self.machine.now()))

    def _check_unfetched(self, error: Exception) -> None:
        """Give up where nothing can be fetched: the way to the server may be open, that barred."""
        now = self.machine.now()
        self._unfetched_since = now if self._unfetched_since is None else self._unfetched_since
        if now - self._unfetched_since > _UNFETCHED_S:
            damaged = "a part of the log is damaged"
            raise NoLiveError(error.message if isinstance(error, ServerError) else damaged)

    def _ended(self, ended: Ended) -> str | None:
        if ended.code == "expired":
            return None
        self._refusals += 1
        # What a person may see can change for a moment; a second refusal is meant.
        if self._refusals > 1:
            raise NoLiveError(ended.message)
        return ended.message

    def _wait_s(self, dialogue: Dialogue) -> float:
        wait_s = dialogue.wait_s()
        if self.until is not None:
            wait_s = min(wait_s, max(self.until - self.machine.now(), 0.01))
        return wait_s

    def _check_time(self) -> None:
        if self.until is not None and self.machine.now() >= self.until:
            raise FollowTimeoutError


def _understood(events: Iterator[Event]) -> Iterator[Event]:
    try:
        yield from events
    except NOT_OURS as error:
        raise SocketClosedError("the server said what we do not understand") from error


def _message(text: str) -> dict[str, Any]:
    """Return a message; an empty one for what is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
