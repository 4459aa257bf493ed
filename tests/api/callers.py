"""Callers to ask with: a gate that knows them by name, and a world with two tenants."""

from __future__ import annotations

from dataclasses import replace

from chalicelib import wiring
from chalicelib.domain.callers import ANYBODY, Caller, CallerKind, Permission
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.live import Identity
from chalicelib.domain.roles import BUILT_IN, USER

OF_USER = BUILT_IN[USER].permissions
OPERATOR = frozenset({Permission.JOB_READ, Permission.EXECUTION_READ, Permission.EXECUTION_STOP})


def a_user(name, *groups, permissions=OF_USER, **given):
    """A user whose address ends in `example.com`."""
    return Caller(
        kind=CallerKind.USER,
        name=f"{name}@example.com",
        email=f"{name}@example.com",
        user_id=f"id-of-{name}",
        groups=frozenset(groups),
        permissions=frozenset(permissions),
        **given,
    )


def a_key(name, owner, **given):
    """A key of somebody, held to less than he may."""
    changes = {"kind": CallerKind.KEY, "name": name, "key_id": f"id-of-{name}"}
    return replace(owner, **changes | given)


class KnownCallers:
    """A gate for tests: the token is the caller's name."""

    def __init__(self, **callers):
        self.callers = callers

    def caller_of(self, authorization):
        name = (authorization or "").removeprefix("Bearer ")
        if name not in self.callers:
            raise UnauthenticatedError("log in first")
        return self.callers[name]

    def caller_again(self, identity, *, is_fresh=False):
        del is_fresh
        for caller in self.callers.values():
            if Identity.of(caller) == identity:
                return caller
        raise UnauthenticatedError("log in first")


def with_callers(world, **callers):
    """Let only these callers into the world's API, `anybody` being an open one."""
    world.engine = replace(world.engine, gate=KnownCallers(anybody=ANYBODY, **callers))
    wiring.use(world.engine)
    return world
