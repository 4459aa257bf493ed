"""The chain of audit records that this process adds to.

One rule: each process has a chain of its own, a new one each day, so that no two ever wait for
each other; a write whose end is unknown ends its chain. Source: security, S23.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock

from chalicelib.domain.audit import FIRST, AuditEntry, AuditRecord, clipped
from chalicelib.engine.ports import Clock, Ids
from chalicelib.engine.ports_audit import AuditLog


@dataclass(slots=True)
class Chain:
    """The end of this process's chain; safe for any number of threads."""

    _last: AuditRecord | None = None
    _lock: Lock = field(default_factory=Lock)

    def add(self, log: AuditLog, clock: Clock, ids: Ids, entry: AuditEntry) -> AuditRecord:
        """Keep the entry. Raises UnavailableError: it may or may not have been kept."""
        entry = replace(
            entry,
            resource=clipped(entry.resource) or "",
            reason=clipped(entry.reason),
            user_agent=clipped(entry.user_agent),
        )
        with self._lock:
            last, self._last = self._last, None
            made = _behind(last, entry, clock.now(), ids)
            log.add(made)
            self._last = made
            return made


def _behind(last: AuditRecord | None, entry: AuditEntry, now: datetime, ids: Ids) -> AuditRecord:
    if last is None or last.at.date() != now.date():
        made = AuditRecord(at=now, entry=entry, chain=ids.nonce(), number=0, previous=FIRST)
    else:
        made = AuditRecord(
            at=now, entry=entry, chain=last.chain, number=last.number + 1, previous=last.hash
        )
    return made.sealed()
