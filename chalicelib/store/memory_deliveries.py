"""Deliveries in memory: for tests."""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.notify import Delivery


class MemoryDeliveries:
    """Deliveries by job and id; safe for any number of threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Delivery] = {}
        self._guard = Lock()

    def add(self, delivery: Delivery) -> None:
        self._kept.setdefault((delivery.job_id, delivery.delivery_id), delivery)

    def of_job(self, job_id: str) -> list[Delivery]:
        found = [one for one in self._kept.values() if one.job_id == job_id]
        return sorted(found, key=lambda one: one.number)

    def get(self, job_id: str, delivery_id: str) -> Delivery:
        found = self._kept.get((job_id, delivery_id))
        if found is None:
            raise NotFoundError(f"job {job_id} has no delivery {delivery_id}")
        return found

    def replace(self, delivery: Delivery, expected: Delivery) -> None:
        key = (delivery.job_id, delivery.delivery_id)
        with self._guard:
            stands = self._kept.get(key)
            if stands is None or stands.nonce not in (expected.nonce, delivery.nonce):
                raise ConflictError(
                    f"delivery {delivery.delivery_id} was changed at the same time: look again"
                )
            self._kept[key] = delivery

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        waiting = [one for one in self._kept.values() if one.due is not None and one.due <= now]
        oldest = sorted(waiting, key=lambda one: (str(one.due), one.delivery_id))
        return [(one.job_id, one.delivery_id) for one in oldest[:limit]]
