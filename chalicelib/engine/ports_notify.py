"""What the engine needs to tell somebody outside: a log of deliveries, and ways to send them.

Writes are conditional as in `ports`. Errors of the ways out hold no path, header or body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from chalicelib.domain.notify import Delivery


class Deliveries(Protocol):
    """The table `registry`: what is, or was, told of jobs' ends."""

    def add(self, delivery: Delivery) -> None:
        """Write it if absent: a repeat changes nothing."""

    def of_job(self, job_id: str) -> list[Delivery]:
        """Return all of a job, by number."""

    def get(self, job_id: str, delivery_id: str) -> Delivery:
        """Raises NotFoundError."""

    def replace(self, delivery: Delivery, expected: Delivery) -> None:
        """Write it in the place of `expected`. Raises ConflictError when that is gone."""

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """Return jobs and ids of deliveries whose `due` has passed, oldest first.

        Eventually consistent.
        """


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """A request to somebody outside. It may hold secrets: never store or log it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class WebSender(Protocol):
    """HTTP to addresses that a workspace wrote down. No redirect is followed."""

    def post(self, outgoing: Outgoing) -> int:
        """Return the status of the answer.

        Raises:
            InvalidError: the URL is none that can be called.
            PermissionDeniedError: it leads where nobody may be sent.
            UnavailableError: nobody answered, or not in time.
        """


class Topics(Protocol):
    """SNS."""

    def publish(self, topic: str, message: str, attributes: Mapping[str, str]) -> None:
        """Publish the message.

        Raises:
            PermissionDeniedError: this installation may not publish there, or it is not there.
            UnavailableError: SNS did not answer; trying again may help.
        """


class NoDeliveries:
    """Where nobody outside is told."""

    def add(self, delivery: Delivery) -> None:
        del delivery

    def of_job(self, job_id: str) -> list[Delivery]:
        del job_id
        return []

    def get(self, job_id: str, delivery_id: str) -> Delivery:
        raise NotImplementedError(f"nothing keeps delivery {delivery_id} of job {job_id}")

    def replace(self, delivery: Delivery, expected: Delivery) -> None:
        raise NotImplementedError(f"nothing keeps {delivery}, {expected}")

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        del now, limit
        return []


class NoWebSender:
    """Where there is no way out by HTTP."""

    def post(self, outgoing: Outgoing) -> int:
        raise NotImplementedError(f"no way out, with {len(outgoing.body)} bytes")


class NoTopics:
    """Where there is no SNS."""

    def publish(self, topic: str, message: str, attributes: Mapping[str, str]) -> None:
        raise NotImplementedError(f"no way to {topic}: {message}, {attributes}")
