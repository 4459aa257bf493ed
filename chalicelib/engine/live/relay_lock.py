"""How far a connection of bare lines is, held by the one process that sends to it.

One rule: what is sent is noted before it is sent, so no line is sent twice, whoever dies when.
Source: live logs, section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.live import Relay
from chalicelib.engine.engine import Engine

# Longer than one frame takes with all its tries: who holds it notes each frame. Who was slower all
# the same learns it by the next, and sends no more.
BUSY_FOR = timedelta(seconds=30)
_TRIES = 20


class Held:
    """The relay of a connection while this process holds it."""

    def __init__(self, engine: Engine, kept: Relay) -> None:
        self._engine = engine
        self._kept = kept

    @property
    def sent(self) -> Mapping[tuple[str, int], int]:
        """Return the last line sent of each attempt."""
        return self._kept.sent

    @property
    def server_after(self) -> str:
        """Return up to when all `_server` lines were sent."""
        return self._kept.server_after

    def note(self, sent: Mapping[tuple[str, int], int], server_after: str) -> None:
        """Note what is sent next, and hold the relay for longer.

        Raises:
            ConflictError: another process took it over, since this one was silent for too long.
        """
        until = self._engine.clock.now() + BUSY_FOR
        self._put(lambda own: replace(own, sent=sent, server_after=server_after, busy_until=until))

    def release(self) -> bool:
        """Give the relay back; False: others had news meanwhile, and it is still held.

        Raises:
            ConflictError: another process took it over.
        """
        for _ in range(_TRIES):
            if self._kept.is_wanted:
                until = self._engine.clock.now() + BUSY_FOR
                changed = replace(self._kept, is_wanted=False, busy_until=until)
            else:
                changed = replace(self._kept, busy_until=None)
            if self._try(changed):
                return changed.busy_until is None
        raise _contended(self._kept.connection_id)

    def _put(self, change: Callable[[Relay], Relay]) -> None:
        for _ in range(_TRIES):
            if self._try(change(self._kept)):
                return
        raise _contended(self._kept.connection_id)

    def _try(self, changed: Relay) -> bool:
        """Write it; where another has written meanwhile, learn that it has news."""
        try:
            self._kept = self._engine.connections.put_relay(changed)
        except ConflictError:
            found = self._engine.connections.relay(changed.connection_id)
            # Nobody else holds it until the same time: who takes it over comes after that.
            if found.busy_until != self._kept.busy_until:
                raise
            self._kept = replace(self._kept, version=found.version, is_wanted=found.is_wanted)
            return False
        return True


def take(engine: Engine, connection_id: str) -> Held | None:
    """Hold the relay; None: another process does, and knows that there is news.

    Raises:
        NotFoundError: the connection is closed.
    """
    for _ in range(_TRIES):
        found, now = engine.connections.relay(connection_id), engine.clock.now()
        is_free = found.busy_until is None or now >= found.busy_until
        if not is_free and found.is_wanted:
            return None
        changed = replace(found, is_wanted=True)
        if is_free:
            changed = replace(found, is_wanted=False, busy_until=now + BUSY_FOR)
        try:
            kept = engine.connections.put_relay(changed)
        except ConflictError:
            continue
        return Held(engine, kept) if is_free else None
    raise _contended(connection_id)


def _contended(connection_id: str) -> ConflictError:
    return ConflictError(f"too many processes have news for connection {connection_id} at once")
