"""What the engine needs of identity providers: to be sent there, and to learn who came back.

Writes are conditional as in `ports`: `expected` is what was read, None that there was nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.oidc import Identity, Provider


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send a browser, and what it must bring back as its cookie."""

    address: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A log-in under way; `state` names it, once. `next` is a path of this site.

    `nonce` must come back in the token; `verifier` proves that who fetches the token began it.
    """

    provider_id: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str | None = None


class IdentityProviders(Protocol):
    """The providers of this installation."""

    def listed(self) -> Sequence[Provider]:
        """Return all of them, in the order of the configuration."""

    def provider(self, provider_id: str) -> Provider:
        """Return the provider. Raises NotFoundError."""

    def depart(self, provider_id: str, going_on: str | None) -> Departure:
        """Begin a log-in. Raises NotFoundError, UnavailableError."""

    def recall(self, provider_id: str, cookie: str | None, state: str | None) -> Flow:
        """Return the log-in that a browser comes back from.

        Raises:
            UnauthenticatedError: it is none that this browser began with this provider, or its
                time is over.
        """

    def identify(self, flow: Flow, returned: Mapping[str, str]) -> Identity:
        """Return who came back, from what the provider put into the query.

        Raises:
            UnauthenticatedError: the provider let nobody in, or is not to be believed.
            UnavailableError: it did not answer.
        """


class Identities(Protocol):
    """The table `registry`: which user an issuer's subject is."""

    def identity(self, issuer: str, subject: str) -> str:
        """Return the user's id. Raises NotFoundError."""

    def put_identity(self, identity: Identity, user_id: str, expected: str | None) -> None:
        """Keep whose it is. Raises ConflictError."""


class NoProviders:
    """Nobody comes from elsewhere."""

    def listed(self) -> Sequence[Provider]:
        return ()

    def provider(self, provider_id: str) -> Provider:
        raise NotFoundError(f"there is no provider {provider_id[:80]!r}")

    def depart(self, provider_id: str, going_on: str | None) -> Departure:
        raise NotFoundError(f"there is no provider {provider_id[:80]!r}, so {going_on!r} waits")

    def recall(self, provider_id: str, cookie: str | None, state: str | None) -> Flow:
        del cookie, state
        raise NotFoundError(f"there is no provider {provider_id[:80]!r}")

    def identify(self, flow: Flow, returned: Mapping[str, str]) -> Identity:
        del returned
        raise NotFoundError(f"there is no provider {flow.provider_id!r}")


class NoIdentities:
    """There is no place to keep them."""

    def identity(self, issuer: str, subject: str) -> str:
        raise NotFoundError(f"nobody is {subject!r} of {issuer}")

    def put_identity(self, identity: Identity, user_id: str, expected: str | None) -> None:
        del expected
        raise InvalidError(f"there is no place for {identity.subject!r}, who is user {user_id}")
