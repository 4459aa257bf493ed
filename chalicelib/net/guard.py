"""HTTP to addresses that somebody else wrote down: resolve, check, connect to what was checked.

One rule: a name is looked up once, and the connection goes to an address of that answer, so that a
second answer cannot lead elsewhere. Source: security, S8.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeAlias, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from chalicelib.domain.addresses import Network, Target, check_address, literal, read_url
from chalicelib.domain.errors import InvalidError, UnavailableError

CONNECT_S = 5.0
TOTAL_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
_MOST_ADDRESSES = 3

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; of the body no more than the cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name.

    Raises:
        UnavailableError: it has none, or nobody tells.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"the name {host[:80]} has no address ({_word(error)})") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedHttp:
    """Sends requests to public addresses, and to `allowed` networks beside them."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        resolver: Resolve = resolve,
        total_s: float = TOTAL_S,
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolver
        self._total_s = total_s

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send one request, and return what is answered to it: also a redirect, or an error.

        Raises:
            InvalidError: the URL or a header is none.
            PermissionDeniedError: an address of its host is private.
            UnavailableError: no answer, or not within the time.
        """
        target = read_url(url)
        for name, value in headers.items():
            if not value.isprintable() or not value.isascii():
                raise InvalidError(
                    f"the header {name[:80]} has characters that no header can have"
                )
        addresses = self._checked(target)
        fault: Exception | None = None
        for address in addresses[:_MOST_ADDRESSES]:
            connection = _connection(target, address)
            try:
                connection.connect()
            except (OSError, HTTPError) as error:
                fault = error
                connection.close()
                continue
            return self._ask(connection, target, method, headers, body)
        raise _silent(target, fault)

    def _checked(self, target: Target) -> list[str]:
        """Return the addresses to try. One that is private spoils all: its owner plays tricks."""
        known = literal(target.host)
        found = [target.host] if known else list(self._resolve(target.host, target.port))
        return [str(check_address(one, self._allowed)) for one in found]

    def _ask(
        self,
        connection: HTTPConnection,
        target: Target,
        method: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        # A timeout of the socket begins anew with each byte; this one does not.
        is_over = threading.Event()
        watch = threading.Timer(self._total_s, _cut, (connection.sock, is_over))
        watch.daemon = True
        watch.start()
        try:
            sent = {"connection": "close", **headers, "host": target.authority}
            connection.request(method, target.path, body, sent, preload_content=False)
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES, decode_content=False)
            if is_over.is_set():
                # What was cut off looks like an answer that is whole.
                raise TimeoutError
            return Answer(answer.status, dict(answer.headers), content)
        except (OSError, HTTPError, HTTPException, ValueError) as error:
            raise _silent(target, error) from None
        finally:
            watch.cancel()
            connection.close()


def _connection(target: Target, address: str) -> HTTPConnection:
    if target.scheme == "http":
        return HTTPConnection(address, target.port, timeout=CONNECT_S)
    return HTTPSConnection(
        address,
        target.port,
        timeout=CONNECT_S,
        ssl_context=ssl.create_default_context(),
        server_hostname=target.host,
        assert_hostname=target.host,
    )


def _cut(connected: Any, is_over: threading.Event) -> None:  # noqa: ANN401 - a socket, maybe TLS
    is_over.set()
    try:
        cast("socket.socket", connected).shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _silent(target: Target, error: Exception | None) -> UnavailableError:
    return UnavailableError(f"{target.origin} did not answer ({_word(error)})")


def _word(error: Exception | None) -> str:
    """Return the kind of a fault: its text may tell more than is to be known."""
    return type(error).__name__ if error else "no address"
