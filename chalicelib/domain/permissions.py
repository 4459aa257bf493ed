"""The one check: who may do what, by named permissions, by the ACL, and by what a key is held to.

One rule: a permission says what somebody may do at all, the access list says where; a request
needs both, and nobody learns of a place that is hidden from them.
Source: configuration, section 7.3; enterprise cron, B10.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase

from chalicelib.domain.callers import Caller, CallerKind, Permission

EVERYBODY = "*"
ALL_TASKS = "*"


class Access(IntEnum):
    """How much of a task a caller has; of several rules that fit, the highest counts."""

    DENY = 0
    VIEW = 1
    RUN = 2

    @property
    def word(self) -> str:
        """Return the word that an ACL spells it with."""
        return self.name.lower()


class Verdict(StrEnum):
    """What a request is answered with: `HIDDEN` looks as if nothing were there."""

    ALLOWED = "allowed"
    HIDDEN = "hidden"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class AclRule:
    """Gives people an access to the tasks that its patterns fit.

    `tasks` are held against `folder/task` and against the task's key alone. `users` are addresses,
    in any case of their letters; `*` among users or groups means everybody.
    """

    workspace: str
    tasks: tuple[str, ...] = (ALL_TASKS,)
    action: Access
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    def speaks_of(self, caller: Caller) -> bool:
        """Say whether the rule is about the caller."""
        if EVERYBODY in self.users or EVERYBODY in self.groups:
            return True
        named = {user.lower() for user in self.users}
        return not named.isdisjoint(_addresses(caller)) or not caller.groups.isdisjoint(
            self.groups
        )

    def fits(self, workspace: str) -> bool:
        """Say whether the rule is about the workspace."""
        return fnmatchcase(workspace, self.workspace)

    def fits_task(self, folder: str | None, task: str) -> bool:
        """Say whether one of the patterns fits the task."""
        path = f"{folder}/{task}" if folder else task
        return any(fnmatchcase(path, one) or fnmatchcase(task, one) for one in self.tasks)


@dataclass(frozen=True, slots=True)
class Acl:
    """Rules in no order; `default` is for the tasks that none of them fits."""

    default: Access = Access.DENY
    rules: tuple[AclRule, ...] = ()

    def access(self, caller: Caller, workspace: str, folder: str | None, task: str) -> Access:
        """Return the caller's access to a task."""
        fitting = [r.action for r in self._of(caller, workspace) if r.fits_task(folder, task)]
        return max(fitting) if fitting else self.default

    def widest(self, caller: Caller, workspace: str) -> Access:
        """Return the most that the caller has to any task that the workspace could have."""
        rules = list(self._of(caller, workspace))
        actions = [rule.action for rule in rules]
        return max(actions if _cover(rules) else [self.default, *actions])

    def whole(self, caller: Caller, workspace: str) -> Access:
        """Return what the caller has to every task that the workspace could have."""
        rules = list(self._of(caller, workspace))
        covering = [rule.action for rule in rules if ALL_TASKS in rule.tasks]
        return max(covering) if covering else min([self.default, *(r.action for r in rules)])

    def _of(self, caller: Caller, workspace: str) -> Iterator[AclRule]:
        return (r for r in self.rules if r.fits(workspace) and r.speaks_of(caller))


def _cover(rules: list[AclRule]) -> bool:
    """Say whether no task is left to the default."""
    return any(ALL_TASKS in rule.tasks for rule in rules)


# Who may start a task may also stop what runs of it, and who may see jobs what they did.
_IMPLIED_BY = {
    Permission.EXECUTION_STOP: Permission.JOB_EXECUTE,
    Permission.DASHBOARD_USER: Permission.DASHBOARD_ADMIN,
}

_VIEWS = frozenset(
    {
        Permission.JOB_READ,
        Permission.JOB_EXPORT,
        Permission.EXECUTION_READ,
        Permission.VARIABLE_READ,
        Permission.WEBHOOK_READ,
        Permission.DASHBOARD_USER,
    }
)

SYSTEM_WIDE = frozenset(
    {
        Permission.USER_MANAGE,
        Permission.ROLE_ASSIGN,
        Permission.SYSTEM_CONFIG,
        Permission.SYSTEM_AUDIT,
        Permission.DASHBOARD_ADMIN,
    }
)


def needed(permission: Permission) -> Access:
    """Return the access to a task without which the permission is of no use there."""
    return Access.VIEW if permission in _VIEWS else Access.RUN


def holds(caller: Caller, permission: Permission) -> bool:
    """Say whether the caller has the permission, wherever.

    An administrator has all, but a key of one only its scopes; a key that is held to workspaces
    has none that goes beyond them.
    """
    if permission in SYSTEM_WIDE and caller.workspaces is not None:
        return False
    if caller.is_admin and caller.kind is not CallerKind.KEY:
        return True
    implied = _IMPLIED_BY.get(permission)
    return permission in caller.permissions or implied in caller.permissions


def access(
    acl: Acl | None, caller: Caller, workspace: str, folder: str | None, task: str
) -> Access:
    """Return the caller's access to a task; without an ACL everybody may run everything."""
    return _in_force(acl, caller, workspace).access(caller, workspace, folder, task)


def widest(acl: Acl | None, caller: Caller, workspace: str) -> Access:
    """Return the most that the caller has in the workspace; `DENY` hides the workspace itself."""
    return _in_force(acl, caller, workspace).widest(caller, workspace)


def whole(acl: Acl | None, caller: Caller, workspace: str) -> Access:
    """Return what the caller has in the whole workspace: for what is about no single task."""
    return _in_force(acl, caller, workspace).whole(caller, workspace)


def verdict(caller: Caller, permission: Permission, found: Access) -> Verdict:
    """Decide on a request that needs the permission where the caller has the access `found`.

    What the caller may nowhere is forbidden before anything is looked at, so that the answer says
    nothing of what there is.
    """
    if not holds(caller, permission):
        return Verdict.FORBIDDEN
    if found is Access.DENY:
        return Verdict.HIDDEN
    return Verdict.ALLOWED if found >= needed(permission) else Verdict.FORBIDDEN


_OPEN = Acl(Access.RUN)
_SHUT = Acl(Access.DENY)


def _in_force(acl: Acl | None, caller: Caller, workspace: str) -> Acl:
    """Return the rules that count: a key's bounds come first, then an administrator's freedom."""
    if caller.workspaces is not None and workspace not in caller.workspaces:
        return _SHUT
    return _OPEN if acl is None or caller.is_admin else acl


def _addresses(caller: Caller) -> frozenset[str]:
    """Return the caller's address. A key's name is no address: whoever makes it chooses it."""
    found = caller.email or (caller.name if caller.kind is CallerKind.USER else "")
    return frozenset({found.lower()} if found else ())
