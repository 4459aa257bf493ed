"""A WebSocket as the client uses it: texts out, texts in, and one error when it is over."""

from __future__ import annotations

from typing import Protocol


class SocketClosedError(Exception):
    """The connection is over, or did not come about (`status`: what HTTP said, if anything)."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Socket(Protocol):
    """An open connection. `send` and `receive` raise SocketClosedError."""

    def send(self, text: str) -> None:
        """Send a text."""

    def receive(self, timeout_s: float) -> str | None:
        """Return the next text; None when none came in time."""

    def close(self) -> None:
        """End the connection; what is closed already stays so."""


class Connect(Protocol):
    """Opens a connection. Raises SocketClosedError."""

    def __call__(self, url: str, /) -> Socket:
        """Return the connection."""
