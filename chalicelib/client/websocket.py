"""WebSockets of the library `websockets`.

One rule: no error of it tells the address, for that holds a ticket.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as _connect

from chalicelib.client.socket import Socket, SocketClosedError

_OPEN_S = 10
_CLOSE_S = 1


def open_socket(url: str) -> Socket:
    """Open a connection to an address. Raises SocketClosedError."""
    opened = ExitStack()
    try:
        # We ping ourselves, in messages: a proxy on the way may answer the protocol's own pings.
        found = opened.enter_context(
            _connect(
                url, open_timeout=_OPEN_S, close_timeout=_CLOSE_S, ping_interval=None, proxy=None
            )
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise SocketClosedError(f"the handshake was refused: HTTP {status}", status) from None
    except (OSError, WebSocketException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise SocketClosedError(f"the WebSocket cannot be opened ({why})") from None
    return _Opened(found, opened)


@dataclass(frozen=True, slots=True)
class _Opened:
    connection: ClientConnection
    opened: ExitStack

    def send(self, text: str) -> None:
        try:
            self.connection.send(text)
        except (ConnectionClosed, OSError) as error:
            raise SocketClosedError(_reason(error)) from None

    def receive(self, timeout_s: float) -> str | None:
        try:
            found = self.connection.recv(timeout_s)
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError) as error:
            raise SocketClosedError(_reason(error)) from None
        return found if isinstance(found, str) else found.decode(errors="replace")

    def close(self) -> None:
        self.opened.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return f"the server closed the connection ({error.rcvd.code})"
    return "the connection broke"
