"""Worker groups in memory: for tests; one suite holds for both."""

from __future__ import annotations

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.worker_groups import WorkerGroup


class MemoryWorkerGroups:
    """Groups by name."""

    def __init__(self) -> None:
        self._groups: dict[str, WorkerGroup] = {}

    def groups(self) -> list[WorkerGroup]:
        return [self._groups[name] for name in sorted(self._groups)]

    def group(self, name: str) -> WorkerGroup:
        found = self._groups.get(name)
        if found is None:
            raise NotFoundError(f"there is no worker group {name!r}")
        return found

    def put(self, group: WorkerGroup, expected: WorkerGroup | None) -> None:
        if self._groups.get(group.name) not in (expected, group):
            raise ConflictError(
                f"worker group {group.name!r} was changed at the same time: read it and try again"
            )
        self._groups[group.name] = group
