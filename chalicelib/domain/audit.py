"""What was done, by whom, from where, and how it ended: records that nobody changes.

One rule: a record tells of values by their hashes only, and each names the hash of the one before
it in its chain, so that one that was changed or taken out shows.
Source: security, S23; enterprise cron, B10.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from chalicelib.domain.logs import stamp
from chalicelib.domain.values import JsonValue

FIRST = "0" * 64
LONGEST = 512


class AuditResult(StrEnum):
    """How it ended. `DENIED`: the caller was not let."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What somebody did. `before` and `after` are `digest`s of what was changed.

    `action` is the name of the operation, `resource` what it was done to, as the address of the
    API spells it. `reason` is told of what failed.
    """

    action: str
    resource: str
    result: AuditResult
    actor: str = "anonymous"
    actor_kind: str = "open"
    actor_id: str | None = None
    key_id: str | None = None
    reason: str | None = None
    before: str | None = None
    after: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An entry as it is kept: the `number`th of its `chain`, behind the record `previous`."""

    at: datetime
    entry: AuditEntry
    chain: str
    number: int
    previous: str
    hash: str = ""

    def sealed(self) -> AuditRecord:
        """Return the record with its hash."""
        return replace(self, hash=_hash_of(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which records are wanted; None filters nothing. `since` counts, `until` does not."""

    since: datetime
    until: datetime
    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    result: AuditResult | None = None

    def fits(self, record: AuditRecord) -> bool:
        """Say whether the record is wanted; `resource` is what its own begins with."""
        entry = record.entry
        return (
            self.since <= record.at < self.until
            and self.actor in (None, entry.actor)
            and self.action in (None, entry.action)
            and self.result in (None, entry.result)
            and (self.resource is None or entry.resource.startswith(self.resource))
        )


def digest(value: JsonValue) -> str:
    """Return the hash that stands for a value, whatever the order of its members."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def clipped(text: str | None) -> str | None:
    """Return the text as it is kept: what comes from outside may be of any length."""
    return None if text is None else text[:LONGEST]


def faults_in(records: Iterable[AuditRecord]) -> Iterator[str]:
    """Yield what is wrong with a day's records: one that was changed, or is missing.

    That the end of a chain is missing cannot be told.
    """
    last: dict[str, AuditRecord] = {}
    for record in sorted(records, key=lambda one: (one.chain, one.number)):
        where = f"record {record.number} of chain {record.chain}"
        if record.hash != _hash_of(record):
            yield f"{where} was changed"
        before = last.get(record.chain)
        expected = (before.number + 1, before.hash) if before else (0, FIRST)
        if (record.number, record.previous) != expected:
            yield f"what stood before {where} is missing or was changed"
        last[record.chain] = record


def _hash_of(record: AuditRecord) -> str:
    told = [stamp(record.at), record.chain, record.number, record.previous, asdict(record.entry)]
    return sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
