"""Faults on the way to a service, put into botocore's own hooks.

A hook before the sending would make moto apply a write twice; these come after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError


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
