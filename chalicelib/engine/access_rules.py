"""Change who may do what: the access list and roles, each with its hashes for the audit.

Source: configuration, section 7.3; security, S23.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from chalicelib.domain.acl import dump_acl
from chalicelib.domain.audit import digest
from chalicelib.domain.callers import Caller, CallerKind
from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.permissions import Access, Acl
from chalicelib.domain.roles import BUILT_IN, MOST_ROLES, Role
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports_access import StoredAcl

_NOTHING = digest(None)


@dataclass(frozen=True, slots=True)
class AclChange:
    """The list as it is now, and what the audit is told."""

    stored: StoredAcl
    told: dict[str, str]


def set_acl(engine: Engine, acl: Acl | None, version: str | None) -> AclChange:
    """Replace the list of that version; None for one that is not there.

    Raises:
        ConflictError: it is not of that version any more.
    """
    before = engine.access.acl()
    stored = engine.access.put_acl(acl, version)
    return AclChange(stored, {"before": _hash(before.acl), "after": _hash(acl)})


def somebody(engine: Engine, address: str, groups: frozenset[str]) -> Caller:
    """Return the user of that address; with groups, one who is in these and no administrator.

    Of whom nothing is known, it is one without groups.
    """
    is_admin = False
    if not groups:
        with suppress(NotFoundError):
            known = engine.accounts.user_by_email(address)
            groups, is_admin = frozenset(known.groups), known.is_admin
    return Caller(
        kind=CallerKind.USER, name=address, email=address, groups=groups, is_admin=is_admin
    )


def explain(engine: Engine, who: Caller, workspace: str, task: str) -> tuple[Access, list[int]]:
    """Return the access to a task, and which rules speak of it, by their numbers."""
    rights = Rights.of(engine, who)
    found = rights.access(workspace, task)
    if rights.acl is None:
        return found, []
    folder = rights.folder(workspace, task)
    return found, [
        number
        for number, rule in enumerate(rights.acl.rules)
        if rule.fits(workspace) and rule.speaks_of(who) and rule.fits_task(folder, task)
    ]


def all_roles(engine: Engine) -> list[Role]:
    """Return the built-in roles, then the custom ones by name."""
    custom = engine.access.roles()
    return [*BUILT_IN.values(), *(custom[name] for name in sorted(custom))]


def set_role(engine: Engine, role: Role) -> dict[str, str]:
    """Write or replace a custom role; return what the audit is told.

    Raises:
        InvalidError: there are too many.
    """
    roles = engine.access.roles()
    if role.name not in roles and len(roles) >= MOST_ROLES:
        raise InvalidError(f"there are {MOST_ROLES} roles, which is the limit: remove one first")
    engine.access.put_role(role)
    return {"before": _role_hash(roles.get(role.name)), "after": _role_hash(role)}


def remove_role(engine: Engine, name: str) -> dict[str, str]:
    """Remove a custom role; return what the audit is told.

    Raises:
        InvalidError: it is built in.
        NotFoundError: there is none.
    """
    if name in BUILT_IN:
        raise InvalidError(f"role {name!r} is built in and cannot be removed")
    found = engine.access.roles().get(name)
    if found is None:
        raise NotFoundError(f"there is no role {name[:80]!r}")
    engine.access.drop_role(name)
    return {"before": _role_hash(found), "after": _NOTHING}


def _hash(acl: Acl | None) -> str:
    return _NOTHING if acl is None else digest(dump_acl(acl))


def _role_hash(role: Role | None) -> str:
    if role is None:
        return _NOTHING
    return digest([role.name, role.description, *sorted(one.value for one in role.permissions)])
