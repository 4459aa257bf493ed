"""A connection that loses and doubles what the server sends, and breaks after a while.

One rule: whatever the server posts to a connection may be lost or come twice, the answers to what
the client asked as well as pushes, as in `tests/simulation/live_place.py`. What the client sends
arrives, and so do answers of the REST API and the parts of a log that are fetched from it.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from chalicelib.client.socket import Connect, Socket, SocketClosedError

# A doubled message comes again behind at most so many others, or when nothing else comes.
_LATEST = 8


@dataclass(frozen=True)
class Weather:
    """Shares, from 0 to 1, of messages that are lost and doubled, and the life of a connection.

    The first connection of a viewer breaks within its life, each other at its end.
    """

    lost: float = 0.05
    doubled: float = 0.1
    life_s: float = 30.0


@dataclass
class LossySocket:
    """One connection, whose end comes at `ends_at` by the clock `now`."""

    socket: Socket
    weather: Weather
    random: Random
    counts: Counter[str]
    now: Callable[[], float]
    ends_at: float
    _came: int = 0
    _copies: list[tuple[int, str]] = field(default_factory=list)

    def send(self, text: str) -> None:
        """Send a text."""
        self.socket.send(text)
        self.counts[json.loads(text)["action"]] += 1

    def receive(self, timeout_s: float) -> str | None:
        """Return the next text; None when none came in time, or when it was lost."""
        left_s = self.ends_at - self.now()
        if left_s <= 0:
            self.counts["cut"] += 1
            break_off(self.socket)
            raise SocketClosedError("the network broke")
        text = self._copy(self._came)
        if text is not None:
            return text
        text = self.socket.receive(min(timeout_s, left_s))
        if text is None:
            return self._copy(self._came + _LATEST)
        return self._fate(text)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def _fate(self, text: str) -> str | None:
        self._came += 1
        self.counts["came"] += 1
        self.counts[str(json.loads(text)["type"])] += 1
        draw = self.random.random()
        if draw < self.weather.lost:
            self.counts["lost"] += 1
            return None
        if draw < self.weather.lost + self.weather.doubled:
            self.counts["doubled"] += 1
            self._copies.append((self._came + self.random.randrange(_LATEST), text))
        return text

    def _copy(self, came: int) -> str | None:
        for at, (due, text) in enumerate(self._copies):
            if due <= came:
                del self._copies[at]
                return text
        return None


def lossy(
    connect: Connect,
    weather: Weather,
    random: Random,
    counts: Counter[str],
    now: Callable[[], float] = time.monotonic,
) -> Connect:
    """Return how to open connections in such a weather; `counts` is what became of them.

    Its keys are `opened`, `cut`, `came`, `lost`, `doubled`, the types of messages that came and
    the actions that were sent.
    """

    def opened(url: str) -> Socket:
        found = connect(url)
        life_s = weather.life_s * (1.0 if counts["opened"] else random.random())
        counts["opened"] += 1
        return LossySocket(found, weather, random, counts, now, now() + life_s)

    return opened


def break_off(found: Socket) -> None:
    """End a connection as a broken network does: without a closing frame, and by a reset."""
    connection = getattr(found, "connection", None)
    if connection is None:
        found.close()
        return
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close_socket()
