"""What a connection is used for, seen from the connection: texts to send, and what to look up.

One rule: a dialogue does no IO and knows no clock; it outlives connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chalicelib.client.events import Event
from chalicelib.client.rest import Rest, ServerError

Message = Mapping[str, Any]
# How the REST API says the same.
_STATUSES = {"forbidden": 403, "not_found": 404}
_PASSING = frozenset({"too_fast", "unavailable"})
_OK = 200
# What taking an answer raises that is not what our servers give.
NOT_OURS = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Ended(Exception):  # noqa: N818 - no fault: what the server says when it ends a connection
    """The server ends the connection. `code` as in `closing`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_refusal(message: Message) -> None:
    """Return if a refused subscription may be taken in a moment.

    Raises:
        ServerError: what it is of is not there, or not for us.
        Ended: it will not be taken on this connection.
    """
    code = message["code"]
    if code in _STATUSES:
        raise ServerError(message["message"], _STATUSES[code])
    if code not in _PASSING:
        raise Ended(code, message["message"])


@dataclass(frozen=True, slots=True)
class Fetch:
    """Lines that lie at an address: gzip of JSON lines, in the order of the spans.

    A span is `(step, attempt, first, last)`.
    """

    url: str
    spans: tuple[tuple[str, int, int, int], ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Fetch:
        """Return it as the server tells it."""
        return cls(
            found["url"], tuple((s, a, first, last) for s, a, first, last in found["spans"])
        )


class Dialogue(Protocol):
    """A use of a connection. Times are those of a monotonic clock.

    `outbox` and `fetches` are emptied by who does the IO; `wants_look` is cleared by `looked`.
    """

    outbox: deque[dict[str, Any]]
    fetches: deque[Fetch]

    @property
    def path(self) -> str:
        """Return where the REST API tells how things are."""

    @property
    def query(self) -> Mapping[str, object]:
        """Return the query for it."""

    @property
    def wants_look(self) -> bool:
        """Say whether the REST API is to be asked how things are."""

    @property
    def is_over(self) -> bool:
        """Say whether all is told."""

    def opened(self, now: float) -> None:
        """Begin with a new connection."""

    def take(self, message: Message, now: float) -> Iterator[Event]:
        """Take a message of the server; yield what is to be told. Raises Ended."""

    def looked(self, found: Any, now: float) -> Iterator[Event]:  # noqa: ANN401 - JSON
        """Take what the REST API says."""

    def fetched(self, fetch: Fetch, rows: list[dict[str, str]], now: float) -> Iterator[Event]:
        """Take lines that were fetched."""

    def tick(self, now: float) -> None:
        """Ask for what is due by the time."""

    def wait_s(self) -> float:
        """Return how long at most to wait for a message before the next `tick`."""

    def is_dead(self, now: float) -> bool:
        """Say whether the server has fallen silent."""


def looked(rest: Rest, dialogue: Dialogue, now: Callable[[], float]) -> Iterator[Event]:
    """Ask the REST API how things are; yield what the dialogue tells. Raises ServerError."""
    found = rest.get(dialogue.path, dialogue.query)
    try:
        yield from dialogue.looked(found, now())
    except NOT_OURS as error:
        raise not_ours(dialogue.path) from error


def not_ours(path: str) -> ServerError:
    """Return the error that an answer is none of our servers."""
    return ServerError(f"{path} is not answered as a Strøm server does: is it one?", _OK)
