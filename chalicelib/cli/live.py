"""The client of live updates, with the address and the token of the command line.

One rule: what the server refuses keeps its words and its exit code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.cli.exits import CommandError, Exit, exit_of_http
from chalicelib.client.live import LiveClient
from chalicelib.client.machine import Patience
from chalicelib.client.rest import ServerError, fetched

if TYPE_CHECKING:
    from chalicelib.cli.client import Client

_STATUS = {Exit.NOT_FOUND: 404, Exit.PERMISSION: 403, Exit.SERVER: None}
_REFUSED = 400
_UNAVAILABLE = 503


def live_client(client: Client, patience: Patience | None = None) -> LiveClient:
    """Return a client of live updates for the server of another client."""
    return LiveClient(_Asking(client), patience=patience or Patience())


@contextmanager
def told_as_command_errors() -> Iterator[None]:
    """Turn what the server refuses into the error of the command line."""
    try:
        yield
    except ServerError as error:
        if isinstance(error.__cause__, CommandError):
            raise error.__cause__ from None
        status = error.status or _UNAVAILABLE
        code = exit_of_http(status) if status >= _REFUSED else Exit.SERVER
        raise CommandError(code, error.message) from None


@dataclass(frozen=True, slots=True)
class _Asking:
    client: Client

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        try:
            return self.client.get(path, query)
        except CommandError as error:
            raise _server_error(error) from error

    def post(self, path: str) -> Any:  # noqa: ANN401 - JSON
        try:
            return self.client.post(path)
        except CommandError as error:
            raise _server_error(error) from error

    def fetch(self, url: str) -> bytes:
        return fetched(self.client.pool, url)


def _server_error(error: CommandError) -> ServerError:
    return ServerError(error.message, _STATUS.get(error.code, _REFUSED))
