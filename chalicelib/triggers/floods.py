"""How many messages one connection may send: a bucket each, in the memory of each process.

Source: the page `live` of the reference.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from enum import Enum
from threading import Lock

from chalicelib.domain.buckets import Bucket, Rate

PER_SECOND = Rate(per_minute=20 * 60, burst=20)
MOST_REFUSED = 100
_MOST_CONNECTIONS = 10_000


class Flow(Enum):
    """What is to be done with a message."""

    PASS = "pass"  # noqa: S105 - no password
    REFUSE = "refuse"
    END = "end"


class Floods:
    """The buckets of the connections that were heard last; safe for any number of threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[Bucket, int]] = OrderedDict()
        self._lock = Lock()

    def take(self, connection_id: str, now: datetime) -> Flow:
        """Count a message of a connection; say what is to be done with it."""
        with self._lock:
            found, refused = self._seen.get(connection_id, (Bucket.full(PER_SECOND, now), 0))
            bucket = found.filled(PER_SECOND, now)
            is_over = bucket.is_empty
            refused += is_over
            self._keep(connection_id, bucket if is_over else bucket.taken(), refused)
        if not is_over:
            return Flow.PASS
        return Flow.END if refused > MOST_REFUSED else Flow.REFUSE

    def forget(self, connection_id: str) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._seen.pop(connection_id, None)

    def _keep(self, connection_id: str, bucket: Bucket, refused: int) -> None:
        self._seen[connection_id] = (bucket, refused)
        self._seen.move_to_end(connection_id)
        while len(self._seen) > _MOST_CONNECTIONS:
            self._seen.popitem(last=False)


floods = Floods()
