"""Identities in memory: for tests and for runs on one machine; one suite holds for both."""

from __future__ import annotations

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.oidc import Identity


class MemoryIdentities:
    """Identities in a dictionary."""

    def __init__(self) -> None:
        self._users: dict[tuple[str, str], str] = {}

    def identity(self, issuer: str, subject: str) -> str:
        try:
            return self._users[issuer, subject]
        except KeyError:
            raise NotFoundError(f"nobody is {subject!r} of {issuer}") from None

    def put_identity(self, identity: Identity, user_id: str, expected: str | None) -> None:
        found = self._users.setdefault((identity.issuer, identity.subject), user_id)
        if found not in (expected, user_id):
            raise ConflictError(f"{identity.subject!r} came twice at a time: try again")
        self._users[identity.issuer, identity.subject] = user_id
