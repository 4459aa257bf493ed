"""Keep what was done, and find it again. Source: security, S23."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.domain.audit import AuditEntry, AuditFilter, AuditRecord, faults_in
from chalicelib.domain.errors import InvalidError
from chalicelib.engine.engine import Engine

LONGEST_SPAN = timedelta(days=92)
MOST_CHECKED = 20_000
_LOOKED_AT = 2000
_PAGE = 200


def record(engine: Engine, entry: AuditEntry) -> None:
    """Keep the entry. Raises UnavailableError: it may or may not have been kept."""
    engine.chain.add(engine.audit, engine.clock, engine.ids, entry)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Records, newest first; `next` is where the rest begins: a day, and a place in it."""

    records: tuple[AuditRecord, ...]
    next: tuple[str, str | None] | None


def audit_page(
    engine: Engine, wanted: AuditFilter, after: tuple[str, str | None] | None, limit: int
) -> AuditPage:
    """Return up to `limit` records that fit; a page may be short, or empty, and have a next one.

    Raises:
        InvalidError: more than 92 days are asked for.
    """
    if wanted.until - wanted.since > LONGEST_SPAN:
        raise InvalidError(f"ask for {LONGEST_SPAN.days} days at most")
    newest = (wanted.until - timedelta(microseconds=1)).astimezone(UTC).date().isoformat()
    day, place = after or (newest, None)
    oldest = wanted.since.astimezone(UTC).date().isoformat()
    found: list[AuditRecord] = []
    for _ in range(_LOOKED_AT // _PAGE):
        if day < oldest:
            return AuditPage(tuple(found), None)
        rows = engine.audit.day(day, place, _PAGE)
        for here, one in rows:
            place = here
            if wanted.fits(one):
                found.append(one)
            if len(found) == limit:
                return AuditPage(tuple(found), (day, place))
        if len(rows) < _PAGE:
            day, place = _day_before(day), None
    return AuditPage(tuple(found), (day, place))


def check_day(engine: Engine, day: str) -> tuple[int, list[str]]:
    """Return how many records the day has (`YYYY-MM-DD`), and what is wrong with them.

    Raises:
        InvalidError: there are more than can be looked at in one request.
    """
    found: list[AuditRecord] = []
    place: str | None = None
    while rows := engine.audit.day(day, place, _PAGE):
        found.extend(one for _, one in rows)
        place = rows[-1][0]
        if len(found) > MOST_CHECKED:
            raise InvalidError(f"{day} has more than {MOST_CHECKED} records: check an export")
    return len(found), list(faults_in(found))


def _day_before(day: str) -> str:
    found = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    return found.date().isoformat()
