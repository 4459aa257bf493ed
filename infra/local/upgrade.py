"""The handshake of a live connection with the emulator's WebSocket API.

One rule: only a connection that the API has taken is passed on as bytes. A refusal is an answer
like any other, so nothing that a client sends behind it reaches the emulator.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

# API Gateway gives a handshake as long as its function may take.
HANDSHAKE_S = 29.0
# They are about the connection with the client, or about a body that was read already.
_OURS = frozenset(
    {"host", "connection", "upgrade", "content-length", "transfer-encoding", "expect"}
)
_PIECE = 4096
_HEAD_LIMIT = 64 * 1024


class NoWayError(Exception):
    """The WebSocket API cannot be reached; the text says why."""


@dataclass(frozen=True)
class Accepted:
    """An open connection, and what the API has sent so far: its answer, and maybe more."""

    server: socket.socket
    said: bytes


@dataclass(frozen=True)
class Refused:
    """The status that the API answered in place of a connection."""

    status: int


@dataclass(frozen=True)
class Gateway:
    """Where the WebSocket API is: the path form of any service with LocalStack's API."""

    host: str
    port: int
    path: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Gateway | None":
        """Return that of the stack which the environment names; None without one."""
        endpoint = urlsplit(environ.get("AWS_ENDPOINT_URL", ""))
        api = environ.get("STROEM_WEBSOCKET_API")
        if endpoint.scheme != "http" or endpoint.hostname is None or not api:
            return None
        stage = environ.get("STROEM_WEBSOCKET_STAGE", "live")
        return cls(endpoint.hostname, endpoint.port or 80, f"/_aws/execute-api/{api}/{stage}")

    def open(self, query: str, headers: Iterable[tuple[str, str]]) -> Accepted | Refused:
        """Ask for a connection with the client's own headers and return the API's answer.

        Raises:
            NoWayError: nothing answered within 29 s.
        """
        lines = [f"GET {self.path}?{query} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += ["Connection: Upgrade", "Upgrade: websocket"]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _OURS]
        server: socket.socket | None = None
        try:
            server = socket.create_connection((self.host, self.port), HANDSHAKE_S)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            return _answer(server)
        except (OSError, ValueError, IndexError) as error:
            if server is not None:
                server.close()
            reason = getattr(error, "strerror", None) or "it did not answer in time"
            raise NoWayError(f"The WebSocket API cannot be reached: {reason}") from error


def _answer(server: socket.socket) -> Accepted | Refused:
    said = b""
    while b"\r\n\r\n" not in said:
        more = server.recv(_PIECE)
        if not more or len(said) > _HEAD_LIMIT:
            raise ConnectionResetError(0, "it answered something else than HTTP")
        said += more
    status = int(said.split(b" ", 2)[1])
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        return Accepted(server, said)
    server.close()
    return Refused(status)
