"""Roles: what is built in, and what several give together."""

from __future__ import annotations

from chalicelib.domain.callers import Permission
from chalicelib.domain.roles import BUILT_IN, Role, permissions_of

ALL = frozenset(Permission)


def test_the_built_in_roles_are_those_of_the_specification():
    assert len(BUILT_IN["admin"].permissions) == 18
    assert {one.value for one in BUILT_IN["user"].permissions} == {
        "job:read",
        "job:execute",
        "execution:read",
        "variable:read",
        "dashboard:user",
    }


def test_permissions_are_the_union_over_roles():
    custom = {
        "night": Role(name="night", permissions=frozenset({Permission.EXECUTION_STOP})),
        # A custom role cannot stand in for a built-in one, however it came there.
        "user": Role(name="user", permissions=ALL),
    }
    user = BUILT_IN["user"].permissions
    assert permissions_of(custom, ["night", "user"]) == user | {Permission.EXECUTION_STOP}
    assert permissions_of(custom, ["gone"]) == frozenset()
    assert permissions_of(custom, []) == user
