"""How often one caller may ask: a bucket per user or key, in the memory of each process.

One rule: who is not known by name is not counted here; the gateway in front does that, and log-in
has limits of its own. Source: security, S22.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from chalicelib.domain.buckets import Bucket, Rate
from chalicelib.domain.callers import Caller, CallerKind
from chalicelib.domain.errors import RateLimitedError

_MOST_CALLERS = 10_000
_COUNTED = (CallerKind.USER, CallerKind.KEY)


class Limiter:
    """The buckets of the callers that asked last; safe for any number of threads."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: Caller, rate: Rate | None, now: datetime, told: dict[str, str]) -> None:
        """Count a request; put the headers that tell what is left into `told`.

        Raises:
            RateLimitedError: there was nothing left.
        """
        if rate is None or caller.kind not in _COUNTED:
            return
        name = f"{caller.kind}:{caller.key_id or caller.user_id or caller.name}"
        with self._lock:
            found = self._buckets.get(name) or Bucket.full(rate, now)
            bucket = found.filled(rate, now)
            is_over = bucket.is_empty
            bucket = bucket if is_over else bucket.taken()
            self._keep(name, bucket)
        told.update(headers_of(bucket, rate))
        if not is_over:
            return
        wait_s = bucket.wait_s(rate)
        raise RateLimitedError(
            f"{caller.name} asks too often: {rate.per_minute} requests a minute are allowed, "
            f"{rate.burst} at once; try again in {wait_s} s",
            wait_s,
        )

    def forget(self) -> None:
        """Fill all buckets. For tests."""
        self._buckets.clear()

    def _keep(self, name: str, bucket: Bucket) -> None:
        self._buckets[name] = bucket
        self._buckets.move_to_end(name)
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)


def headers_of(bucket: Bucket, rate: Rate) -> dict[str, str]:
    """Return what is left, in the words of draft-ietf-httpapi-ratelimit-headers and older ones."""
    left, reset_s = int(max(0.0, bucket.left)), bucket.wait_s(rate)
    return {
        "RateLimit-Policy": f'"caller";q={rate.per_minute};w=60',
        "RateLimit": f'"caller";r={left};t={reset_s}',
        "RateLimit-Limit": str(rate.per_minute),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(reset_s),
    }


limiter = Limiter()
