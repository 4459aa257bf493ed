"""What the engine needs to know of worker groups. Source: security, S15."""

from __future__ import annotations

from typing import Protocol

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.worker_groups import WorkerGroup


class WorkerGroups(Protocol):
    """The table `registry`: groups of workers with their tokens, the revoked ones too."""

    def groups(self) -> list[WorkerGroup]:
        """Return all, by name. Strongly consistent."""

    def group(self, name: str) -> WorkerGroup:
        """Raises NotFoundError."""

    def put(self, group: WorkerGroup, expected: WorkerGroup | None) -> None:
        """Replace `expected` (None: must be absent) by `group`.

        Raises ConflictError: something else stands there.
        """


class NoWorkerGroups:
    """No groups: what an engine has that nobody gave any."""

    def groups(self) -> list[WorkerGroup]:
        return []

    def group(self, name: str) -> WorkerGroup:
        raise NotFoundError(f"there is no worker group {name!r}")

    def put(self, group: WorkerGroup, expected: WorkerGroup | None) -> None:
        raise NotImplementedError(f"nothing keeps worker groups here: {group.name}, {expected}")
