"""Webhooks on DynamoDB, in the table `registry`: names, deliveries that were seen, calls counted.

What was seen counts until its time, whenever the table gets round to removing it.
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from chalicelib.domain import keys
from chalicelib.domain.logs import stamp
from chalicelib.engine.ports_webhooks import HookEntry
from chalicelib.store.dynamo import Item, RefusedError, answering, bind


class HookItem(Item):
    """A workspace's webhook of a name; the workspace is the sort key."""

    trigger = UnicodeAttribute()
    nonce = UnicodeAttribute()


class SeenItem(Item):
    """A delivery, and the nonce of who took it."""

    nonce = UnicodeAttribute()
    expires = NumberAttribute()


class CallsItem(Item):
    """How many calls there were in a minute."""

    calls = NumberAttribute()
    expires = NumberAttribute()


class WebhooksTable:
    """Names and calls of webhooks; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._hook = bind(HookItem, name, region, host)
        self._seen = bind(SeenItem, name, region, host)
        self._calls = bind(CallsItem, name, region, host)

    def entries(self, name: str) -> list[HookEntry]:
        with answering(self._name):
            items = self._hook.query(keys.hook_pk(name), consistent_read=True)
            return [HookEntry(name, item.sk, item.trigger, item.nonce) for item in items]

    def put(self, entry: HookEntry) -> None:
        with answering(self._name):
            self._hook(
                keys.hook_pk(entry.name),
                entry.workspace,
                trigger=entry.trigger,
                nonce=entry.nonce,
            ).save()

    def drop(self, entry: HookEntry) -> None:
        is_as_seen = self._hook.nonce == entry.nonce
        try:
            with answering(self._name):
                self._hook(keys.hook_pk(entry.name), entry.workspace).delete(is_as_seen)
        except RefusedError:
            return

    def first_seen(self, hook: str, sent: str, nonce: str, now: datetime, until: datetime) -> str:
        item = self._seen(keys.hook_seen_pk(hook), sent)
        item.nonce, item.expires = nonce, int(until.timestamp())
        is_new = self._seen.pk.does_not_exist() | (self._seen.expires < int(now.timestamp()))
        try:
            with answering(self._name):
                item.save(is_new)
        except RefusedError:
            return self._seen_nonce(item.pk, sent) or nonce
        return nonce

    def count(self, hook: str, minute: datetime, until: datetime) -> int:
        item = self._calls(keys.hook_calls_pk(hook), stamp(minute))
        with answering(self._name):
            item.update(
                [
                    self._calls.calls.add(1),
                    self._calls.expires.set(int(until.timestamp())),
                ]
            )
        return int(item.calls)

    def _seen_nonce(self, pk: str, sent: str) -> str | None:
        with answering(self._name):
            try:
                return self._seen.get(pk, sent, consistent_read=True).nonce
            except self._seen.DoesNotExist:
                # It has gone between two looks: its time was over all but now.
                return None
