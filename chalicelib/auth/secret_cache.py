"""What stands before the place where secrets live: which workspace may ask, and how often.

The one rule: what was read is kept in memory, for 60 s at most. Source: security, S19.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from chalicelib.domain.errors import PermissionDeniedError
from chalicelib.domain.references import Reference
from chalicelib.engine.ports import Clock
from chalicelib.engine.ports_secrets import Secrets

KEPT_S = 60
_MOST_KEPT = 512


class AllowedSecrets:
    """Keeps each workspace to what it may refer to.

    `patterns` are globs over `scheme://where`, in which `{workspace}` is the workspace's name;
    none allows everything.
    """

    def __init__(self, inner: Secrets, patterns: Sequence[str]) -> None:
        self._inner = inner
        self._patterns = tuple(patterns)

    def fetch(self, reference: Reference, workspace: str) -> str:
        named = f"{reference.scheme}://{reference.where.lstrip('/')}"
        allowed = [pattern.replace("{workspace}", workspace) for pattern in self._patterns]
        if allowed and not any(fnmatchcase(named, pattern) for pattern in allowed):
            raise PermissionDeniedError(
                f"{reference.text} is not for workspace {workspace!r}: STROEM_SECRETS_ALLOWED "
                "says what each workspace may refer to"
            )
        return self._inner.fetch(reference, workspace)


class KeptSecrets:
    """Asks once a minute for what many steps read. Safe for any number of threads."""

    def __init__(self, inner: Secrets, clock: Clock, kept_s: float = KEPT_S) -> None:
        self._inner = inner
        self._clock = clock
        self._kept_for = timedelta(seconds=min(kept_s, KEPT_S))
        self._kept: OrderedDict[tuple[str, str], tuple[datetime, str]] = OrderedDict()
        self._guard = threading.Lock()

    def fetch(self, reference: Reference, workspace: str) -> str:
        key, now = (workspace, reference.document), self._clock.now()
        with self._guard:
            self._forget(now)
            known = self._kept.get(key)
        if known is not None:
            return known[1]
        content = self._inner.fetch(reference, workspace)
        with self._guard:
            self._kept[key] = (now + self._kept_for, content)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return content

    def _forget(self, now: datetime) -> None:
        for key in [key for key, (until, _) in self._kept.items() if until <= now]:
            del self._kept[key]
