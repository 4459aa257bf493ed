"""What the engine needs to know who may do what: the access list and the roles of its own.

Reads are eventually consistent at most by what an adapter says of itself; writes are conditional
as in `ports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.callers import ANYBODY, Caller
from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.live import Identity
from chalicelib.domain.permissions import Acl
from chalicelib.domain.roles import Role


@dataclass(frozen=True, slots=True)
class StoredAcl:
    """The access list with the version that a change must name; None: there is no list."""

    acl: Acl | None = None
    version: str | None = None


class AccessRules(Protocol):
    """The table `registry`: the access list, and custom roles."""

    def acl(self) -> StoredAcl:
        """Return the list in force; one without `acl` means that everybody may run everything."""

    def put_acl(self, acl: Acl | None, expected: str | None) -> StoredAcl:
        """Replace the list of the version `expected` (None: there must be none).

        With None there is no list any more. Raises ConflictError.
        """

    def roles(self) -> Mapping[str, Role]:
        """Return the custom roles by name."""

    def put_role(self, role: Role) -> None:
        """Write or replace the role."""

    def drop_role(self, name: str) -> None:
        """Remove the role. Safe to repeat."""

    def forget(self) -> None:
        """Answer anew from now on, whatever was read a moment ago."""


class Gate(Protocol):
    """Tells who a request comes from."""

    def caller_of(self, authorization: str | None) -> Caller:
        """Return who shows this `Authorization` header. Raises UnauthenticatedError."""

    def caller_again(self, identity: Identity, *, is_fresh: bool = False) -> Caller:
        """Return who once showed himself, with the rights that he has now, 10 s old at most.

        With `is_fresh` nothing is taken from what was read before.

        Raises UnauthenticatedError: his tokens were taken back, or his key deleted, or he is shut
        out.
        """


class OpenGate:
    """Nobody has to log in."""

    def caller_of(self, authorization: str | None) -> Caller:
        del authorization
        return ANYBODY

    def caller_again(self, identity: Identity, *, is_fresh: bool = False) -> Caller:
        del identity, is_fresh
        return ANYBODY


class ClosedGate:
    """Nobody is let in: there is nothing yet to tell people by."""

    def caller_of(self, authorization: str | None) -> Caller:
        del authorization
        raise UnavailableError(
            "nobody can log in here yet: set STROEM_TOKEN_KEYS to a key of 32 bytes and more, as "
            "`openssl rand -hex 32` prints one, and STROEM_ADMIN for the first user; or set "
            "STROEM_OPEN=yes if everybody who reaches this may do everything"
        )

    def caller_again(self, identity: Identity, *, is_fresh: bool = False) -> Caller:
        del identity, is_fresh
        return self.caller_of(None)


class OpenAccess:
    """No list and no roles: what an engine has that nobody gave any."""

    def acl(self) -> StoredAcl:
        return StoredAcl()

    def put_acl(self, acl: Acl | None, expected: str | None) -> StoredAcl:
        raise NotImplementedError(f"nothing keeps an access list here: {acl}, {expected}")

    def roles(self) -> Mapping[str, Role]:
        return {}

    def put_role(self, role: Role) -> None:
        raise NotImplementedError(f"nothing keeps roles here: {role.name}")

    def drop_role(self, name: str) -> None:
        raise NotImplementedError(f"nothing keeps roles here: {name}")

    def forget(self) -> None:
        return
