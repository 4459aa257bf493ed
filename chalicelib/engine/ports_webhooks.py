"""What the engine needs for webhooks that come in: whose a name is, and what came already.

The index only nominates: whether a hook is there, and what it starts, the definition in force
says. Writes are conditional as in `ports`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HookEntry:
    """A workspace that has, or had, a webhook of this name. `nonce` is that of its last write."""

    name: str
    workspace: str
    trigger: str
    nonce: str


class HookStore(Protocol):
    """The table `registry`: names of webhooks, deliveries that were seen, calls by the minute."""

    def entries(self, name: str) -> list[HookEntry]:
        """Return the entries of the name, by workspace."""

    def put(self, entry: HookEntry) -> None:
        """Write or replace the workspace's entry."""

    def drop(self, entry: HookEntry) -> None:
        """Remove the entry if it stands as seen. Safe to repeat."""

    def first_seen(self, hook: str, sent: str, nonce: str, now: datetime, until: datetime) -> str:
        """Keep the nonce of a delivery until then, if none is kept; return the one that stands."""

    def count(self, hook: str, minute: datetime, until: datetime) -> int:
        """Count a call in that minute; return how many there were, this one included."""


class NoHooks:
    """Where nobody calls from outside: nothing is found, nothing is kept."""

    def entries(self, name: str) -> list[HookEntry]:
        del name
        return []

    def put(self, entry: HookEntry) -> None:
        del entry

    def drop(self, entry: HookEntry) -> None:
        del entry

    def first_seen(self, hook: str, sent: str, nonce: str, now: datetime, until: datetime) -> str:
        raise NotImplementedError(f"nothing keeps {hook}, {sent}, {nonce}, {now}, {until}")

    def count(self, hook: str, minute: datetime, until: datetime) -> int:
        raise NotImplementedError(f"nothing counts {hook}, {minute}, {until}")
