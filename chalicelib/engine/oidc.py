"""Let in whom a provider vouches for: the same user each time, and a new one only when it must be.

One rule: a log-in is answered once; its state is spent before anything is asked for it.
Source: security, S4; HTTP API, section 4.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.accounts import AuthLink, User
from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from chalicelib.domain.oidc import (
    FLOW_LIFE,
    Identity,
    Provider,
    address_of,
    linked,
    shown_name,
)
from chalicelib.engine import accounts, logins
from chalicelib.engine.accounts import NewUser
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports_accounts import Pace
from chalicelib.engine.ports_oidc import Departure, Flow

PER_PLACE = Pace(timedelta(seconds=3), 20)
# Longer than the cookie lives, so that no second answer finds another turn.
_ONCE = Pace(2 * FLOW_LIFE, 1)
# Of two who come at once to an installation without users, one becomes its administrator.
_FIRST = Pace(timedelta(minutes=1), 1)


@dataclass(frozen=True, slots=True)
class Returned:
    """What a browser brings back from a provider: its cookie, and the query."""

    cookie: str | None
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came, and the path of this site to go on to."""

    user: User
    next: str | None


def depart(engine: Engine, provider_id: str, going_on: str | None, place: str) -> Departure:
    """Begin a log-in; `place` is where from, as for log-ins by password.

    Raises:
        NotFoundError: there is no such provider.
        RateLimitedError: too often from this place.
        UnavailableError: the provider does not answer.
    """
    engine.providers.provider(provider_id)
    logins.throttle(engine, f"oidc#place#{place}", PER_PLACE)
    return engine.providers.depart(provider_id, going_on)


def arrive(
    engine: Engine, provider_id: str, returned: Returned, *, first_is_admin: bool
) -> SignedIn:
    """End a log-in. `first_is_admin`: the first user of all becomes administrator.

    Raises:
        NotFoundError: there is no such provider.
        UnauthenticatedError: this browser began no such log-in, or it was answered before, or
            what came is not to be believed, or the user is shut out.
        PermissionDeniedError: the provider vouches for an address that lets nobody in.
        ConflictError: somebody else came in the same way at the same time.
        UnavailableError: the provider does not answer.
    """
    flow = engine.providers.recall(provider_id, returned.cookie, returned.query.get("state"))
    _spend(engine, flow)
    identity = engine.providers.identify(flow, returned.query)
    provider = engine.providers.provider(provider_id)
    user = sign_in(engine, provider, identity, first_is_admin=first_is_admin)
    return SignedIn(logins.came(engine, user), flow.next)


def sign_in(
    engine: Engine, provider: Provider, identity: Identity, *, first_is_admin: bool
) -> User:
    """Return the user who this is: by issuer and subject, else by a verified address, else new.

    Cut off anywhere, the next try finds what this one wrote. Raises as `arrive`.
    """
    known_id = _known_id(engine, identity)
    user = _user(engine, known_id) if known_id else None
    if user is None:
        user = _by_address(engine, provider, identity, first_is_admin=first_is_admin)
        _check_link(user, provider, identity)
        engine.identities.put_identity(identity, user.user_id, known_id)
    if user.disabled:
        raise UnauthenticatedError(f"{user.email} is disabled: ask an administrator")
    link = AuthLink(provider.provider_id, identity.subject)
    return accounts.change(
        engine, user.user_id, lambda found: replace(found, links=_with(found, link))
    )


def _spend(engine: Engine, flow: Flow) -> None:
    if engine.accounts.take_turn(f"oidc-state#{flow.state}", _ONCE, engine.clock.now()) > 0:
        raise UnauthenticatedError("this log-in was answered before: begin again")


def _by_address(
    engine: Engine, provider: Provider, identity: Identity, *, first_is_admin: bool
) -> User:
    email = address_of(provider, identity)
    try:
        return engine.accounts.user_by_email(email)
    except NotFoundError:
        pass
    new = NewUser(
        email=email,
        name=shown_name(identity),
        groups=provider.default_groups,
        is_admin=first_is_admin and _is_first(engine),
    )
    try:
        return accounts.add(engine, new)
    except ConflictError:
        # Somebody else came under this address a moment ago, or the same one twice.
        return engine.accounts.user_by_email(email)


def _is_first(engine: Engine) -> bool:
    if engine.accounts.users():
        return False
    if engine.accounts.take_turn("oidc-first", _FIRST, engine.clock.now()) > 0:
        # To go on as nobody special could leave an installation without an administrator.
        raise ConflictError("somebody else is the first user just now: try again in a minute")
    return True


def _check_link(user: User, provider: Provider, identity: Identity) -> None:
    linked(user, AuthLink(provider.provider_id, identity.subject))


def _with(user: User, link: AuthLink) -> tuple[AuthLink, ...]:
    try:
        return linked(user, link)
    except PermissionDeniedError:
        # Known by issuer and subject, so it is the provider's own id that moved.
        return user.links


def _known_id(engine: Engine, identity: Identity) -> str | None:
    try:
        return engine.identities.identity(identity.issuer, identity.subject)
    except NotFoundError:
        return None


def _user(engine: Engine, user_id: str) -> User | None:
    try:
        return engine.accounts.user(user_id)
    except NotFoundError:
        # It was removed; whoever comes now is somebody new.
        return None
