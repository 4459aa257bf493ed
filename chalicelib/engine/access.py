"""What one caller may do here: the check of `domain.permissions`, fed with what there is.

One rule: what is hidden from a caller is answered with the very words for what does not exist.
Source: configuration, section 7.3.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from chalicelib.domain import permissions
from chalicelib.domain.callers import Caller, Permission
from chalicelib.domain.errors import HiddenError, NotFoundError, PermissionDeniedError
from chalicelib.domain.hooks import is_hook_task_name
from chalicelib.domain.job import Job
from chalicelib.domain.permissions import Access, Acl, Verdict
from chalicelib.domain.workflow import Definition, Trigger
from chalicelib.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Rights:
    """A caller, and the access list that was in force when its request came."""

    engine: Engine
    caller: Caller
    acl: Acl | None
    _read: dict[tuple[str, str | None], Definition | None] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine, caller: Caller) -> Rights:
        """Return the caller's rights at this moment."""
        return cls(engine, caller, engine.access.acl().acl)

    def hold(self, permission: Permission) -> None:
        """Let pass who has the permission at all. Raises PermissionDeniedError."""
        if not permissions.holds(self.caller, permission):
            raise PermissionDeniedError(
                f"this needs the permission {permission.value}, which {self.caller.name} has not"
            )

    def task(self, permission: Permission, workspace: str, task: str) -> None:
        """Let pass who may do this with a task, which need not exist.

        Raises:
            NotFoundError: it is hidden.
            PermissionDeniedError: the caller lacks the permission, or may only look.
        """
        hidden = f"workspace {workspace!r} has no task {task[:80]!r}"
        if not self.sees(workspace):
            hidden = no_workspace(workspace)
        found = self.access(workspace, task)
        self._judge(permission, found, f"task {workspace}/{task[:80]}", hidden)

    def workspace(self, permission: Permission, workspace: str) -> None:
        """Let pass who may do this with some task that the workspace could have. As `task`."""
        found = permissions.widest(self.acl, self.caller, workspace)
        self._judge(permission, found, f"workspace {workspace}", no_workspace(workspace))

    def whole(self, permission: Permission, workspace: str) -> None:
        """Let pass who may do this with every task that the workspace could have. As `task`."""
        self.workspace(permission, workspace)
        if self._whole(workspace) < permissions.needed(permission):
            raise _only_looks(self.caller, permission, f"all of workspace {workspace}")

    def job(self, permission: Permission, job_id: str) -> None:
        """Let pass who may do this with a job.

        It is not read for those who may do anything anywhere: what comes next does.

        Raises:
            NotFoundError: there is none, or it is hidden.
            PermissionDeniedError: the caller lacks the permission, or may only look.
        """
        self.hold(permission)
        if self._is_free:
            return
        job = self.engine.jobs.get(job_id)
        found = self.access_to(job)
        what = f"jobs of task {job.workspace}/{job.task}"
        self._judge(permission, found, what, f"there is no job {job_id}")

    def sees(self, workspace: str, task: str | None = None) -> bool:
        """Say whether the task, or anything of the workspace, is not hidden from the caller."""
        if task is not None:
            return self.access(workspace, task) is not Access.DENY
        return permissions.widest(self.acl, self.caller, workspace) is not Access.DENY

    def sees_trigger(self, workspace: str, trigger: Trigger) -> bool:
        """Say whether none of the tasks that the trigger tells of is hidden from the caller."""
        named = [task for task in (trigger.task, trigger.target_task) if task]
        if not named:
            return self.sees_all(workspace)
        return all(self.sees(workspace, task) for task in named)

    def sees_job(self, job: Job) -> bool:
        """Say whether the job is not hidden from the caller."""
        return self.access_to(job) is not Access.DENY

    def sees_all(self, workspace: str) -> bool:
        """Say whether no task that the workspace could have is hidden from the caller."""
        return self._whole(workspace) is not Access.DENY

    def may(self, permission: Permission, workspace: str, task: str) -> bool:
        """Say whether the caller may do this with the task."""
        found = self.access(workspace, task)
        return permissions.verdict(self.caller, permission, found) is Verdict.ALLOWED

    def access(self, workspace: str, task: str) -> Access:
        """Return the caller's access to a task of the revision in force."""
        return self._access(workspace, task, None)

    def access_to(self, job: Job) -> Access:
        """Return the caller's access to a job: that to its task.

        Of a task that has left the workspace the job's own revision knows the folder.
        """
        return self._access(job.workspace, job.task, job.revision)

    def shown(self, job_id: str | None) -> str | None:
        """Return the id of another job if the caller may know of it."""
        if job_id is None or self._is_free:
            return job_id
        try:
            return job_id if self.sees_job(self.engine.jobs.get(job_id)) else None
        except NotFoundError:
            # It is gone, or not made yet: it shows nothing of anybody.
            return None

    @property
    def _is_free(self) -> bool:
        return self.caller.workspaces is None and (self.acl is None or self.caller.is_admin)

    def _whole(self, workspace: str) -> Access:
        return permissions.whole(self.acl, self.caller, workspace)

    def _access(self, workspace: str, task: str, revision: str | None) -> Access:
        least = self._whole(workspace)
        most = permissions.widest(self.acl, self.caller, workspace)
        if least is most or is_hook_task_name(task):
            # A hook's job may tell of any task.
            return least
        folder = self.folder(workspace, task, revision)
        return permissions.access(self.acl, self.caller, workspace, folder, task)

    def folder(self, workspace: str, task: str, revision: str | None = None) -> str | None:
        """Return the folder of a task, in the revision in force or else in that one."""
        for wanted in dict.fromkeys((None, revision)):
            definition = self._definition(workspace, wanted)
            if definition is not None and task in definition.tasks:
                return definition.tasks[task].folder
        return None

    def _definition(self, workspace: str, revision: str | None) -> Definition | None:
        key = (workspace, revision)
        if key not in self._read:
            self._read[key] = None
            with suppress(NotFoundError):
                wanted = revision or self.engine.registry.workspace(workspace).revision
                if wanted is not None:
                    self._read[key] = self.engine.definitions.load(workspace, wanted)
        return self._read[key]

    def _judge(self, permission: Permission, found: Access, what: str, hidden: str) -> None:
        match permissions.verdict(self.caller, permission, found):
            case Verdict.HIDDEN:
                raise HiddenError(hidden)
            case Verdict.FORBIDDEN:
                self.hold(permission)
                raise _only_looks(self.caller, permission, what)
            case Verdict.ALLOWED:
                return


def no_workspace(name: str) -> str:
    """Return what is said of a workspace that is not there."""
    return f"there is no workspace {name[:80]!r}"


def _only_looks(caller: Caller, permission: Permission, what: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{caller.name} may look at {what}, but not use {permission.value} there: the access list "
        "must say `run`"
    )
