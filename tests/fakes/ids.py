"""Ids that look random and are the same at every run of a seed."""

from __future__ import annotations

import random
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


class SeededIds:
    """Job ids count up, so they sort in the order in which they were made."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._count = 0

    def job_id(self) -> str:
        self._count += 1
        value = self._count << 80 | _VERSION_7 | _VARIANT | self._random.getrandbits(60)
        return str(UUID(int=value))

    def nonce(self) -> str:
        return f"{self._random.getrandbits(96):024x}"

    def draw(self) -> float:
        return self._random.random()
