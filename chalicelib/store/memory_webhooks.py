"""Webhooks in memory: for tests."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from threading import Lock

from chalicelib.engine.ports_webhooks import HookEntry


class MemoryWebhooks:
    """Names, deliveries and calls; safe for any number of threads."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], HookEntry] = {}
        self._seen: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._calls: Counter[tuple[str, datetime]] = Counter()
        self._guard = Lock()

    def entries(self, name: str) -> list[HookEntry]:
        found = [entry for entry in self._entries.values() if entry.name == name]
        return sorted(found, key=lambda entry: entry.workspace)

    def put(self, entry: HookEntry) -> None:
        self._entries[(entry.name, entry.workspace)] = entry

    def drop(self, entry: HookEntry) -> None:
        with self._guard:
            if self._entries.get((entry.name, entry.workspace)) == entry:
                del self._entries[(entry.name, entry.workspace)]

    def first_seen(self, hook: str, sent: str, nonce: str, now: datetime, until: datetime) -> str:
        with self._guard:
            known = self._seen.get((hook, sent))
            if known is not None and known[1] >= now:
                return known[0]
            self._seen[(hook, sent)] = (nonce, until)
            return nonce

    def count(self, hook: str, minute: datetime, until: datetime) -> int:
        del until
        with self._guard:
            self._calls[(hook, minute)] += 1
            return self._calls[(hook, minute)]
