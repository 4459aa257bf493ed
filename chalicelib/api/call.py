"""One request as a view sees it: who asks, for what, and what he may.

One rule: it holds no Chalice class that a view would have to know.
Source: house, section 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from chalice.app import Request
from pydantic import BaseModel

from chalicelib import wiring
from chalicelib.api.bodies import check_size, read_body, read_query
from chalicelib.api.operation import Operation
from chalicelib.domain.callers import ANYBODY, Caller, Permission
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.worker_groups import ANY_WORKER, WorkerPass
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Engine

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a view sees it."""

    operation: Operation
    request: Request
    request_id: str
    caller: Caller = ANYBODY
    noted: dict[str, str] = field(default_factory=dict)
    worker: WorkerPass = ANY_WORKER

    @property
    def engine(self) -> Engine:
        """Return this process's engine."""
        return wiring.engine()

    @property
    def path(self) -> str:
        """Return the path as the client wrote it."""
        return str(self.request.context.get("path") or self.request.path)

    @property
    def params(self) -> dict[str, str]:
        """Return the query's parameters; of one that was given twice, the last."""
        return dict(self.request.query_params or {})

    @property
    def rights(self) -> Rights:
        """Return what the caller may do, by the rules in force now."""
        return Rights.of(self.engine, self.caller)

    def require(self, workspace: str, task: str | None = None) -> None:
        """Let pass who may do what the route needs with the task, or somewhere in the workspace.

        Raises:
            NotFoundError: it is hidden from the caller, whether there is such a thing or not.
            PermissionDeniedError: the caller lacks the permission, or may only look.
        """
        if task is None:
            self.rights.workspace(self._needed(), workspace)
        else:
            self.rights.task(self._needed(), workspace, task)

    def require_whole(self, workspace: str) -> None:
        """Let pass who may do what the route needs with all of the workspace. As `require`."""
        self.rights.whole(self._needed(), workspace)

    def require_job(self, text: str) -> str:
        """Return the id of a job with which the caller may do what the route needs.

        Raises as `require`, and InvalidError: it is no id.
        """
        job_id = checked_id(text)
        self.rights.job(self._needed(), job_id)
        return job_id

    def audit(self, **noted: str) -> None:
        """Note more for the record that this request leaves when it ends.

        `action`, `resource`, `actor` in other words than the route's; `before` and `after` as
        `domain.audit.digest` makes them of what was changed.
        """
        self.noted.update(noted)

    def _needed(self) -> Permission:
        needed = self.operation.needs
        if needed is None:
            raise TypeError(f"the operation {self.operation.summary!r} names no permission")
        return needed

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name."""
        value: str | None = self.request.headers.get(name)
        return value

    def body(self, model: type[Model]) -> Model:
        """Return the body. Raises InvalidError, TooLargeError."""
        limit = self.operation.max_body_bytes
        return read_body(model, self.raw(limit), limit)

    def raw(self, max_bytes: int) -> bytes:
        """Return the body as it came. Raises InvalidError, TooLargeError."""
        try:
            raw = self.request.raw_body
        except ValueError:
            raise InvalidError("the body is not what its encoding says") from None
        content: bytes = raw.encode() if isinstance(raw, str) else raw
        check_size(content, max_bytes)
        return content

    def query(self, model: type[Model]) -> Model:
        """Return the query's parameters. Raises InvalidError."""
        return read_query(model, self.params)


def checked_id(text: str, what: str = "a job") -> str:
    """Return the id in lower case.

    Raises:
        InvalidError: it is no UUID, so there can be nothing of that id.
    """
    try:
        plain = str(UUID(text))
    except ValueError:
        plain = ""
    if plain != text.lower():
        raise InvalidError(f"{text[:80]!r} is not the id of {what}: ids are UUIDs")
    return plain
