"""A relay on loopback before a server: what goes through it can be cut off at any moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import contextmanager


class Relay:
    """Passes connections on to `port`, as if it were that server: names of both are exchanged.

    Both ports must have as many digits, so that no length changes. `carried` is what clients sent.
    """

    def __init__(self, port):
        self._there = f"127.0.0.1:{port}".encode()
        self._address = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._here = f"127.0.0.1:{self.port}".encode()
        self._open = []
        self.carried = bytearray()

    def cut(self):
        """End all connections, without a word."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(self):
        """Pass connections on until `close`."""
        threads = []
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                break
            far = socket.create_connection(self._address)
            self._open += [near, far]
            for way in (
                (near, far, self._here, self._there),
                (far, near, self._there, self._here),
            ):
                threads.append(threading.Thread(target=self._pass, args=way))
                threads[-1].start()
        self.cut()
        for thread in threads:
            thread.join()
        for one in [*self._open, self._listener]:
            one.close()

    def close(self):
        """Take no more connections, and end those that there are."""
        self._listener.shutdown(socket.SHUT_RDWR)

    def _pass(self, source, sink, old, new):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if old == self._here:
                    self.carried += data
                sink.sendall(data.replace(old, new))
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay_to(port):
    """Relay to a port of 127.0.0.1."""
    relay = Relay(port)
    thread = threading.Thread(target=relay.serve)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
