"""Roles: names for sets of permissions; a user has those of all its roles together.

One rule: the built-in roles never change; a custom one is what its administrator wrote.
Source: enterprise cron, B10.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import InvalidError, Violation

ADMIN = "admin"
USER = "user"
LONGEST_DESCRIPTION = 500
MOST_ROLES = 200
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What people who have the role may do, where the access list lets them."""

    name: str
    permissions: frozenset[Permission]
    description: str = ""


BUILT_IN: Mapping[str, Role] = {
    role.name: role
    for role in (
        Role(
            name=ADMIN,
            permissions=frozenset(Permission) - {Permission.DASHBOARD_USER},
            description="Everything.",
        ),
        Role(
            name=USER,
            permissions=frozenset(
                {
                    Permission.JOB_READ,
                    Permission.JOB_EXECUTE,
                    Permission.EXECUTION_READ,
                    Permission.VARIABLE_READ,
                    Permission.DASHBOARD_USER,
                }
            ),
            description="See and run tasks: what every user has without a role of its own.",
        ),
    )
}


def role_of(name: str, permissions: Iterable[str], description: str = "") -> Role:
    """Return a custom role.

    Raises:
        InvalidError: a violation for each thing that is wrong.
    """
    given = list(permissions)
    wrong = list(_wrong(name, given, description))
    if wrong:
        listed = "; ".join(f"{one.pointer}: {one.message}" for one in wrong[:5])
        raise InvalidError(f"the role is not valid: {listed}", tuple(wrong))
    found = frozenset(Permission(one) for one in given)
    return Role(name=name, permissions=found, description=description)


def permissions_of(custom: Mapping[str, Role], names: Iterable[str]) -> frozenset[Permission]:
    """Return what somebody with these roles may do; one that is gone gives nothing.

    Who has no role at all has the built-in `user`.
    """
    chosen = tuple(names) or (USER,)
    roles = {**custom, **BUILT_IN}
    sets = (roles[name].permissions for name in chosen if name in roles)
    return frozenset[Permission]().union(*sets)


def _wrong(name: str, permissions: list[str], description: str) -> Iterable[Violation]:
    if not _NAME.fullmatch(name):
        text = "must begin with a letter; small letters, digits, `_` and `-`, at most 64"
        yield Violation("/name", text)
    if name in BUILT_IN:
        yield Violation("/name", f"{name!r} is built in and cannot be changed")
    known = {one.value for one in Permission}
    for number, one in enumerate(permissions):
        if one not in known:
            text = f"{one[:80]!r} is no permission: choose of {', '.join(sorted(known))}"
            yield Violation(f"/permissions/{number}", text)
    if len(description) > LONGEST_DESCRIPTION:
        yield Violation("/description", f"is longer than {LONGEST_DESCRIPTION} characters")
