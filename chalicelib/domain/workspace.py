"""What is kept of a workspace and of its immutable revisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.values import BlobRef


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRecord:
    """A workspace: the revision in force, and what the last try to publish had to say.

    `revision` is None until a first good one; `error` and `warnings` are texts for people, of the
    newest try. `source` is the folder that it is refreshed from, None when it is pushed.
    """

    name: str
    revision: str | None = None
    tried_at: datetime | None = None
    source: str | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    tasks_count: int = 0
    actions_count: int = 0
    triggers_count: int = 0
    connections_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One immutable state of a workspace; `revision` is the hash of its content."""

    workspace: str
    revision: str
    definition: BlobRef
    archive: BlobRef
    created_at: datetime
