"""Passwords by argon2id: what they cost, and what an older hash costs to make anew.

One rule: nothing is right without the same work as everything else. Source: security, S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.engine.ports_accounts import Checked

if TYPE_CHECKING:
    from argon2 import PasswordHasher


@dataclass(frozen=True, slots=True)
class Cost:
    """argon2id's figures: KiB of memory, passes over it, lanes."""

    memory_kib: int = 46 * 1024
    passes: int = 1
    lanes: int = 1


CHOSEN = Cost()
FLOOR = Cost(memory_kib=19 * 1024, passes=2)


@dataclass(frozen=True)
class Argon2Passwords:
    """Hashes and compares at one cost; a hash of another cost is stale."""

    cost: Cost = CHOSEN

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def check(self, kept: str | None, password: str) -> Checked:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - late

        if kept is None:
            # To hash costs what to compare costs.
            self.hash(password)
            return Checked(is_right=False)
        try:
            self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return Checked(is_right=False)
        return Checked(is_right=True, is_stale=self._hasher.check_needs_rehash(kept))

    @cached_property
    def _hasher(self) -> PasswordHasher:
        # Loaded when the first password comes: most processes see none.
        from argon2 import PasswordHasher, Type  # noqa: PLC0415 - see above

        cost = self.cost
        return PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            type=Type.ID,
        )
