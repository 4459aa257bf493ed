"""Who may be told: those who watch a job or a workspace, and may still see it.

One rule: what somebody may do is asked again for every batch, and once more, of the tables
themselves, before the answer is no. Who has lost it is told so, and the connection ends; of a
workspace, a job that is hidden is just not told.
Source: live logs, section 2.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from chalicelib.domain.callers import CallerKind, Permission
from chalicelib.domain.errors import (
    NotFoundError,
    PermissionDeniedError,
    StroemError,
    UnauthenticatedError,
)
from chalicelib.domain.job import Job
from chalicelib.domain.live import Identity, Mode, Topic, Watcher
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Engine
from chalicelib.engine.kept_jobs import MOST_KEPT, KeptJob
from chalicelib.engine.live.closing import close
from chalicelib.engine.live.messages import ClosingCode
from chalicelib.engine.live.subscribing import may_watch
from chalicelib.engine.redaction import redactor_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A connection that watches `topics` of one channel; of `behind` it must be told so first."""

    connection_id: str
    mode: Mode
    rights: Rights
    topics: frozenset[Topic]
    behind: frozenset[Topic] = frozenset()


class Audience:
    """The viewers of one batch: each who watches is asked for once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rights: dict[Identity, Rights | None] = {}
        self._asked_afresh: set[Identity] = set()

    def of_job(self, job: Job, watchers: Iterable[Watcher]) -> list[Viewer]:
        """Return those of the watchers who may see the job; the others' connections end."""
        return list(self._those_who(lambda rights: may_watch(rights, job), watchers))

    def of_workspace(self, workspace: str) -> list[Viewer]:
        """Return who watches the workspace's jobs and may see any; others' connections end."""
        watchers = self._engine.connections.watchers(Topic(workspace=workspace).channel)
        return list(self._those_who(lambda rights: _sees_any(rights, workspace), watchers))

    def _those_who(
        self, may: Callable[[Rights], bool], watchers: Iterable[Watcher]
    ) -> Iterator[Viewer]:
        by_connection: dict[str, list[Watcher]] = {}
        for watcher in watchers:
            by_connection.setdefault(watcher.connection_id, []).append(watcher)
        for own in by_connection.values():
            rights = self._rights_of(own[0].identity)
            if rights is None or not may(rights):
                rights = self._afresh(own[0].identity)
            if rights is not None and may(rights):
                yield _viewer(own, rights)
            else:
                self._close(own[0].connection_id, _why(own[0].identity, rights))

    def _rights_of(self, identity: Identity, *, is_fresh: bool = False) -> Rights | None:
        if is_fresh or identity not in self._rights:
            found = None
            with suppress(UnauthenticatedError):
                caller = self._engine.gate.caller_again(identity, is_fresh=is_fresh)
                found = Rights.of(self._engine, caller)
            self._rights[identity] = found
        return self._rights[identity]

    def _afresh(self, identity: Identity) -> Rights | None:
        """Return the rights that stand in the tables now; they are read once in a batch."""
        if identity in self._asked_afresh:
            return self._rights_of(identity)
        if not self._asked_afresh:
            self._engine.access.forget()
        self._asked_afresh.add(identity)
        return self._rights_of(identity, is_fresh=True)

    def _close(self, connection_id: str, code: ClosingCode) -> None:
        # Who has lost his rights keeps nobody else from being told.
        with suppress(StroemError):
            close(self._engine, self._engine.connections.connection(connection_id), code)


def kept_job(engine: Engine, job_id: str) -> KeptJob:
    """Return what of the job never changes; it is read once in each process.

    Raises:
        NotFoundError: no such job.
    """
    found = engine.kept_jobs.get(job_id)
    if found is None:
        job = engine.jobs.get(job_id)
        found = KeptJob(job, redactor_for(engine, job, engine.plan_of(job).definition))
        if len(engine.kept_jobs) >= MOST_KEPT:
            engine.kept_jobs.clear()
        engine.kept_jobs[job_id] = found
    return found


def _viewer(own: Sequence[Watcher], rights: Rights) -> Viewer:
    return Viewer(
        connection_id=own[0].connection_id,
        mode=own[0].mode,
        rights=rights,
        topics=frozenset(watcher.topic for watcher in own),
        behind=frozenset(watcher.topic for watcher in own if watcher.is_behind),
    )


def _why(identity: Identity, rights: Rights | None) -> ClosingCode:
    has_logged_out = rights is None and identity.kind is not CallerKind.KEY
    return ClosingCode.LOGGED_OUT if has_logged_out else ClosingCode.RIGHTS_LOST


def _sees_any(rights: Rights, workspace: str) -> bool:
    try:
        rights.workspace(Permission.EXECUTION_READ, workspace)
    except (NotFoundError, PermissionDeniedError):
        return False
    return True
