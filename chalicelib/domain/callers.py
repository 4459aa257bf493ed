"""Who calls, and what callers may be allowed: the words in which every permission is asked for.

One rule: whoever asks names a `Permission`, and the workspace and task that it is about; what the
caller may is decided in one place, `domain/permissions.py`.
Source: configuration, section 7.3; enterprise cron, B10.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """What can be allowed, by the names that operators write into roles."""

    JOB_READ = "job:read"
    JOB_WRITE = "job:write"
    JOB_EXECUTE = "job:execute"
    JOB_DELETE = "job:delete"
    JOB_IMPORT = "job:import"
    JOB_EXPORT = "job:export"
    EXECUTION_READ = "execution:read"
    EXECUTION_STOP = "execution:stop"
    VARIABLE_READ = "variable:read"
    VARIABLE_WRITE = "variable:write"
    VARIABLE_ENCRYPT = "variable:encrypt"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_WRITE = "webhook:write"
    USER_MANAGE = "user:manage"
    ROLE_ASSIGN = "role:assign"
    SYSTEM_CONFIG = "system:config"
    SYSTEM_AUDIT = "system:audit"
    DASHBOARD_ADMIN = "dashboard:admin"
    DASHBOARD_USER = "dashboard:user"


class CallerKind(StrEnum):
    """How a caller was recognised. `OPEN`: nobody has to log in here."""

    OPEN = "open"
    USER = "user"
    KEY = "key"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. `permissions` are the union over its roles; an administrator has all.

    `workspaces` are those that an API key is held to; None: all that its user may see. `name` is
    what is shown and audited: an address, a key's name, `anonymous`. `email` is the address of the
    user, also of the one whose key it is: rules that name users look at nothing else. `stamp` is
    the user's, which changes when his tokens are taken back.
    """

    kind: CallerKind
    name: str
    user_id: str | None = None
    is_admin: bool = False
    groups: frozenset[str] = frozenset()
    permissions: frozenset[Permission] = frozenset()
    workspaces: frozenset[str] | None = None
    key_id: str | None = None
    email: str | None = None
    stamp: str | None = None


def by_of(caller: Caller) -> str:
    """Return who did something, as jobs and approvals tell it."""
    return "api" if caller.kind is CallerKind.OPEN else caller.email or caller.name


ANYBODY = Caller(
    kind=CallerKind.OPEN, name="anonymous", is_admin=True, permissions=frozenset(Permission)
)
