"""Pairs of sockets whose bytes are passed on both ways, any number of them by one thread.

One rule: what one side does not take is not read from the other. At most `BUFFER` bytes wait in
each direction, so a peer that stops reading costs nobody else anything.
"""

import contextlib
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

BUFFER = 64 * 1024
_ABSENT = (BlockingIOError, InterruptedError)


@dataclass(eq=False)
class _Way:
    """One direction. `has_ended`: its source will send no more; `is_told`: its sink knows it."""

    source: socket.socket
    sink: socket.socket
    waiting: bytearray = field(default_factory=bytearray)
    has_ended: bool = False
    is_told: bool = False

    def read(self) -> None:
        with contextlib.suppress(*_ABSENT):
            data = self.source.recv(BUFFER - len(self.waiting))
            self.waiting += data
            self.has_ended = not data

    def write(self) -> None:
        if self.waiting:
            with contextlib.suppress(*_ABSENT):
                del self.waiting[: self.sink.send(self.waiting)]
        if self.has_ended and not self.waiting and not self.is_told:
            self.is_told = True
            self.sink.shutdown(socket.SHUT_WR)

    @property
    def wants_read(self) -> bool:
        return not self.has_ended and len(self.waiting) < BUFFER


@dataclass(eq=False)
class _Pair:
    there: _Way
    back: _Way

    @property
    def is_over(self) -> bool:
        return self.there.is_told and self.back.is_told

    def interest(self, side: socket.socket) -> int:
        """Return the events of a side that something waits for."""
        reads, writes = (
            (self.there, self.back) if side is self.there.source else (self.back, self.there)
        )
        events = selectors.EVENT_READ if reads.wants_read else 0
        return events | (selectors.EVENT_WRITE if writes.waiting else 0)


class Splicer:
    """The thread, started with the first pair. Any thread may hand it sockets."""

    def __init__(
        self, selector: Callable[[], selectors.BaseSelector] = selectors.DefaultSelector
    ) -> None:
        self._select_by = selector
        self._given: deque[_Pair] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def join(
        self, client: socket.socket, server: socket.socket, early: bytes = b"", late: bytes = b""
    ) -> None:
        """Take two connected sockets over, to close them when both are done or one fails.

        `early` was read from the client already, `late` from the server.
        """
        for end in (client, server):
            end.settimeout(0)
        there, back = _Way(client, server), _Way(server, client)
        there.waiting += early
        back.waiting += late
        with self._lock:
            self._given.append(_Pair(there, back))
            self._start()
        self._ring()

    def close(self) -> None:
        """End all pairs and the thread."""
        with self._lock:
            running, self._is_closed = self._thread, True
            if running is None or not running.is_alive():
                return
        self._ring()
        running.join()

    def _start(self) -> None:
        if self._thread is not None:
            return
        self._selector = self._select_by()
        self._bell, self._ear = socket.socketpair()
        for end in (self._bell, self._ear):
            end.settimeout(0)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="splicer", daemon=True)
        self._thread.start()

    def _ring(self) -> None:
        # One that rings already needs no second ring, nor one that was taken down.
        with contextlib.suppress(OSError):
            self._bell.send(b".")

    def _run(self) -> None:
        pairs: set[_Pair] = set()
        while not self._is_closed:
            for key, events in self._selector.select():
                if key.data is None:
                    pairs = {pair for pair in pairs if not pair.is_over}
                    pairs |= self._take_in()
                else:
                    self._pass_on(key.data, key.fileobj, events)
        for pair in pairs | self._take_in():
            self._end(pair)
        for end in (self._bell, self._ear, self._selector):
            end.close()

    def _take_in(self) -> set[_Pair]:
        with contextlib.suppress(*_ABSENT):
            self._ear.recv(4096)
        taken: set[_Pair] = set()
        while self._given:
            pair = self._given.popleft()
            taken.add(pair)
            self._pass_on(pair, None, 0)
        return taken

    def _pass_on(self, pair: _Pair, side: object, events: int) -> None:
        """Move what can be moved after `events` of one side, then wait for what is left."""
        if pair.is_over:
            return
        try:
            for way in (pair.there, pair.back):
                if way.source is side and events & selectors.EVENT_READ and way.wants_read:
                    way.read()
                way.write()
            if not pair.is_over:
                for end in (pair.there.source, pair.back.source):
                    self._watch(end, pair)
        except OSError:
            # Of one pair: also where the system watches no more sockets.
            self._end(pair)
            return
        if pair.is_over:
            self._end(pair)

    def _watch(self, end: socket.socket, pair: _Pair) -> None:
        wanted = pair.interest(end)
        key = self._selector.get_map().get(end)
        if key is None and wanted:
            self._selector.register(end, wanted, pair)
        elif key is not None and not wanted:
            # Left registered, a peer that hung up would wake the thread without end.
            self._selector.unregister(end)
        elif key is not None and key.events != wanted:
            self._selector.modify(end, wanted, pair)

    def _end(self, pair: _Pair) -> None:
        pair.there.is_told = pair.back.is_told = True
        for end in (pair.there.source, pair.back.source):
            if end.fileno() >= 0 and end in self._selector.get_map():
                self._selector.unregister(end)
            end.close()
