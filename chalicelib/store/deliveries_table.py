"""Deliveries on DynamoDB, in the table `registry`: one item each, found by job or by when due.

A change says in its condition what it changes: of two passes at a time one is refused.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.logs import stamp
from chalicelib.domain.notify import KEPT, Delivery, DeliveryState, Try
from chalicelib.store.attributes import InstantAttribute, dumped, parsed
from chalicelib.store.dynamo import Item, RefusedError, answering, bind


class DeliveriesDueIndex(GlobalSecondaryIndex["DeliveryItem"]):  # type: ignore[no-untyped-call]  # PynamoDB's
    """Deliveries that are to be tried, by when."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_pk = UnicodeAttribute(hash_key=True)
    due_sk = UnicodeAttribute(range_key=True)


class DeliveryItem(Item):
    """A delivery; its id is the sort key. Without a next try it is in no index."""

    by_due = DeliveriesDueIndex()
    due_pk = UnicodeAttribute(null=True)
    due_sk = UnicodeAttribute(null=True)
    number = NumberAttribute()
    created_at = InstantAttribute()
    nonce = UnicodeAttribute()
    state = UnicodeAttribute()
    round = NumberAttribute()
    tries = UnicodeAttribute()
    expires = NumberAttribute()


class DeliveriesTable:
    """What is told outside; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(DeliveryItem, name, region, host)

    def add(self, delivery: Delivery) -> None:
        try:
            with answering(self._name):
                self._made(delivery).save(self._item.pk.does_not_exist())
        except RefusedError:
            return

    def of_job(self, job_id: str) -> list[Delivery]:
        with answering(self._name):
            items = list(self._item.query(keys.deliveries_pk(job_id), consistent_read=True))
        return sorted(map(_delivery_of, items), key=lambda one: one.number)

    def get(self, job_id: str, delivery_id: str) -> Delivery:
        with answering(self._name):
            try:
                return _delivery_of(
                    self._item.get(keys.deliveries_pk(job_id), delivery_id, consistent_read=True)
                )
            except self._item.DoesNotExist:
                raise NotFoundError(f"job {job_id} has no delivery {delivery_id}") from None

    def replace(self, delivery: Delivery, expected: Delivery) -> None:
        try:
            with answering(self._name):
                self._made(delivery).save(self._item.nonce == expected.nonce)
        except RefusedError:
            self._expect_written(delivery)

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        is_time = self._item.due_sk <= stamp(now)
        with answering(self._name):
            rows = self._item.by_due.query(
                keys.DELIVERIES_DUE_PK, range_key_condition=is_time, limit=limit
            )
            return [(keys.deliveries_of(row.pk), row.sk) for row in rows]

    def _expect_written(self, delivery: Delivery) -> None:
        """Return if an earlier try of this very write arrived. Raises ConflictError."""
        try:
            stands = self.get(delivery.job_id, delivery.delivery_id)
        except NotFoundError:
            stands = None
        if stands is None or stands.nonce != delivery.nonce:
            raise ConflictError(
                f"delivery {delivery.delivery_id} was changed at the same time: look again"
            )

    def _made(self, one: Delivery) -> DeliveryItem:
        item = self._item(
            keys.deliveries_pk(one.job_id),
            one.delivery_id,
            number=one.number,
            created_at=one.created_at,
            nonce=one.nonce,
            state=one.state.value,
            round=one.round,
            tries=dumped([[stamp(t.at), t.status, t.error] for t in one.tries]),
            expires=int((one.created_at + KEPT).timestamp()),
        )
        if one.due is not None:
            item.due_pk, item.due_sk = keys.DELIVERIES_DUE_PK, stamp(one.due)
        return item


def _delivery_of(item: DeliveryItem) -> Delivery:
    tries: list[Any] = json.loads(item.tries)
    return Delivery(
        job_id=keys.deliveries_of(item.pk),
        delivery_id=item.sk,
        number=int(item.number),
        created_at=item.created_at,
        nonce=item.nonce,
        state=DeliveryState(item.state),
        due=parsed(item.due_sk) if item.due_sk else None,
        round=int(item.round),
        tries=tuple(Try(at=parsed(at), status=status, error=error) for at, status, error in tries),
    )
