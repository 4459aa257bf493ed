"""Faults on the way to a service, put into botocore's own hooks.

A hook before the sending would make moto apply a write twice; these come after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)


@contextmanager
def reply_lost_once(client: Any, operation: str) -> Iterator[list[str]]:
    """The first request is carried out, its reply is lost, and botocore sends it again.

    Yields a list that tells which operations were sent again.
    """
    lost: list[str] = []

    def lose(**_: Any) -> int | None:
        if lost:
            return None
        lost.append(operation)
        return 0

    with _hooked(client, f"needs-retry.{_service(client)}.{operation}", lose):
        yield lost


@contextmanager
def no_reply(client: Any, operation: str) -> Iterator[None]:
    """Requests are carried out, and their replies never come: the caller gets a timeout."""

    def lose(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url=client.meta.endpoint_url)

    with _hooked(client, f"after-call.{_service(client)}.{operation}", lose):
        yield


@contextmanager
def no_connection(client: Any, operation: str) -> Iterator[None]:
    """Requests do not arrive at all."""

    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url=client.meta.endpoint_url)

    with _hooked(client, f"before-call.{_service(client)}.{operation}", refuse):
        yield


@contextmanager
def refused_with(client: Any, operation: str, code: str) -> Iterator[None]:
    """Requests are refused with an error code of the service."""

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "as the test wants"}}, operation)

    with _hooked(client, f"before-call.{_service(client)}.{operation}", refuse):
        yield


@contextmanager
def meanwhile(client: Any, operation: str, number: int, act: Callable[[], Any]) -> Iterator[None]:
    """Somebody else acts just before request `number`, counted from 1."""
    seen: list[str] = []

    def hook(**_: Any) -> None:
        seen.append(operation)
        if len(seen) == number:
            act()

    with _hooked(client, f"before-call.{_service(client)}.{operation}", hook):
        yield


@contextmanager
def _hooked(client: Any, event: str, hook: Any) -> Iterator[None]:
    client.meta.events.register_first(event, hook)
    try:
        yield
    finally:
        client.meta.events.unregister(event, hook)


def _service(client: Any) -> str:
    return client.meta.service_model.service_id.hyphenize()


# What a request meets before it is carried out: it is refused, or it never arrives …
REFUSALS = (
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
    "ConnectTimeout",
    "ReadTimeout",
)
# … or it is carried out, and its reply is lost, or only a part of it is.
LOST = "lost reply"
PARTIAL = {
    "SendMessageBatch": "partial SendMessageBatch",
    "BatchGetItem": "partial BatchGetItem",
    "BatchWriteItem": "partial BatchWriteItem",
}


class FaultyNetwork:
    """Clients of which `rate` of all calls go wrong, at random but the same for every seed.

    A fault comes out of the client at once: botocore does not try again below it.
    `seen` counts the faults by kind, `calls` the calls by operation.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self.seen: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._random = Random(seed)  # noqa: S311 - repeatable, not secret
        self._rate = rate

    @contextmanager
    def under(self, *clients: Any) -> Iterator[None]:
        for client in clients:
            client._make_api_call = self._around(client)
        try:
            yield
        finally:
            for client in clients:
                del client._make_api_call

    def _around(self, client: Any) -> Callable[[str, Any], Any]:
        real, url = client._make_api_call, client.meta.endpoint_url

        def call(operation: str, given: Any) -> Any:
            self.calls[operation] += 1
            kind = self._kind(operation)
            if kind is None:
                return real(operation, given)
            self.seen[kind] += 1
            if kind == PARTIAL.get(operation):
                return self._in_part(real, operation, given)
            if kind == LOST:
                real(operation, given)
                raise ReadTimeoutError(endpoint_url=url)
            raise _refusal(kind, operation, url)

        return call

    def _kind(self, operation: str) -> str | None:
        """Return what goes wrong with a call; None for nothing."""
        part = PARTIAL.get(operation)
        if part is not None and not self.seen[part]:
            # Of some operations a run has only one call.
            return part
        if self._random.random() >= self._rate:
            return None
        return self._random.choice([*REFUSALS, LOST, LOST, LOST, *([part] * 5 if part else [])])

    def _in_part(self, real: Callable[[str, Any], Any], operation: str, given: Any) -> Any:
        if operation == "SendMessageBatch":
            done, left = self._split(given["Entries"])
            answer = real(operation, given | {"Entries": done}) if done else {"Successful": []}
            failed = [
                {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                for entry in left
            ]
            return answer | {"Failed": [*answer.get("Failed", []), *failed]}
        [(table, wanted)] = given["RequestItems"].items()
        is_read = operation == "BatchGetItem"
        done, left = self._split(wanted["Keys"] if is_read else wanted)
        answer = {"Responses": {table: []}} if is_read else {}
        if done:
            part = wanted | {"Keys": done} if is_read else done
            answer = real(operation, given | {"RequestItems": {table: part}})
        rest = {table: wanted | {"Keys": left} if is_read else left}
        return answer | {"UnprocessedKeys" if is_read else "UnprocessedItems": rest}

    def _split(self, items: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return what is carried out, perhaps nothing, and what is not: one at least."""
        items = list(items)
        self._random.shuffle(items)
        count = self._random.randrange(len(items))
        return items[:count], items[count:]


def _refusal(kind: str, operation: str, url: str) -> Exception:
    if kind == "ConnectTimeout":
        return ConnectTimeoutError(endpoint_url=url)
    if kind == "ReadTimeout":
        return ReadTimeoutError(endpoint_url=url)
    status = 500 if kind == "InternalServerError" else 503 if kind == "ServiceUnavailable" else 400
    answer: Any = {
        "Error": {"Code": kind, "Message": "as the test wants"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "0", "HTTPHeaders": {}},
    }
    return ClientError(answer, operation)
