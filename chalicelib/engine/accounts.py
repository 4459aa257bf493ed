"""Keep users: add, change, disable, remove, and give them passwords.

One rule: there is always an administrator who can log in. Source: HTTP API, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from chalicelib.domain.accounts import (
    MOST_ROLES_OF_ONE,
    Reset,
    User,
    check_password,
    email_of,
    groups_of,
    name_of,
)
from chalicelib.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
)
from chalicelib.domain.roles import BUILT_IN
from chalicelib.engine.engine import Engine
from chalicelib.engine.live.closing import close_logged_in, close_user
from chalicelib.engine.live.messages import ClosingCode

RESET_LIFE = timedelta(hours=24)
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """Who is to be added. Without a password only a provider lets the user in, or a reset."""

    email: str
    name: str | None = None
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    is_admin: bool = False
    password: str | None = field(default=None, repr=False)


def add(engine: Engine, new: NewUser, *, is_password_free: bool = False) -> User:
    """Add a user. `is_password_free`: the operator chose the password, and it may be any.

    Raises:
        InvalidError: an address, name, group, role or password is none that may be.
        ConflictError: the address has a user.
    """
    email = email_of(new.email)
    if new.password is not None and not is_password_free:
        check_password(new.password, email)
    user = User(
        user_id=engine.ids.job_id(),
        email=email,
        created_at=engine.clock.now(),
        stamp=engine.ids.nonce(),
        name=name_of(new.name),
        is_admin=new.is_admin,
        groups=groups_of(new.groups),
        roles=_roles_of(engine, new.roles),
        password_hash=engine.passwords.hash(new.password) if new.password else None,
    )
    return engine.accounts.add_user(user)


def first_admin(engine: Engine, email: str, password: str) -> User | None:
    """Add the installation's first user; None when it has users. Raises as `add`."""
    if engine.accounts.users():
        return None
    new = NewUser(email=email, is_admin=True, password=password)
    return add(engine, new, is_password_free=True)


def change(engine: Engine, user_id: str, changed: Callable[[User], User]) -> User:
    """Write what the function makes of the user, read anew when another change came first.

    Raises:
        NotFoundError: there is no such user.
        ConflictError: it never stood still, or the function refused it.
    """
    for attempt in range(_TRIES):
        user = engine.accounts.user(user_id)
        wanted = changed(user)
        if wanted == user:
            return user
        try:
            engine.accounts.put_user(wanted, user)
        except ConflictError:
            if attempt == _TRIES - 1:
                raise
            continue
        return wanted
    raise ConflictError(f"user {user_id} is being changed by others: try again")


def set_admin(engine: Engine, user_id: str, *, is_admin: bool) -> User:
    """Make somebody an administrator, or no longer one. Raises as `change`, ConflictError."""
    if not is_admin:
        _keep_an_admin(engine, user_id)
    return _rights(engine, user_id, lambda user: replace(user, is_admin=is_admin))


def set_groups(engine: Engine, user_id: str, groups: Iterable[str]) -> User:
    """Replace the user's groups. Raises as `change`, InvalidError."""
    wanted = groups_of(groups)
    return _rights(engine, user_id, lambda user: replace(user, groups=wanted))


def set_roles(engine: Engine, user_id: str, roles: Iterable[str]) -> User:
    """Replace the user's roles. Raises as `change`, InvalidError."""
    wanted = _roles_of(engine, roles)
    return _rights(engine, user_id, lambda user: replace(user, roles=wanted))


def set_disabled(engine: Engine, user_id: str, *, disabled: bool) -> User:
    """Shut somebody out, which ends all that was issued, or let him in again. As `set_admin`."""
    if disabled:
        _keep_an_admin(engine, user_id)
    stamp = engine.ids.nonce()

    def changed(user: User) -> User:
        if user.disabled == disabled:
            return user
        return replace(user, disabled=disabled, stamp=stamp, reset=None)

    user = change(engine, user_id, changed)
    if disabled:
        close_user(engine, user_id, ClosingCode.LOGGED_OUT)
    return user


def remove(engine: Engine, user_id: str) -> User:
    """Remove a user with keys and sessions. Raises NotFoundError, ConflictError."""
    user = engine.accounts.user(user_id)
    _keep_an_admin(engine, user_id)
    for key in engine.accounts.api_keys():
        if key.user_id == user_id:
            engine.accounts.drop_key(key.prefix)
    engine.accounts.drop_user(user)
    close_user(engine, user_id, ClosingCode.LOGGED_OUT)
    return user


def end_everywhere(engine: Engine, user_id: str) -> User:
    """End all sessions and access tokens of the user; keys go on. Raises as `change`."""
    stamp = engine.ids.nonce()
    return _issued(engine, user_id, lambda user: replace(user, stamp=stamp))


def set_password(engine: Engine, user: User, password: str) -> User:
    """Give the user another password, which ends all sessions. Raises as `add`."""
    check_password(password, user.email)
    hashed, stamp = engine.passwords.hash(password), engine.ids.nonce()
    return _issued(
        engine,
        user.user_id,
        lambda found: replace(found, password_hash=hashed, stamp=stamp, reset=None),
    )


def change_password(engine: Engine, user_id: str, old: str, new: str) -> User:
    """Let the user choose another password, knowing the old one. Raises as `set_password`.

    Raises:
        UnauthenticatedError: the old one is wrong.
    """
    user = engine.accounts.user(user_id)
    if not engine.passwords.check(user.password_hash, old).is_right:
        raise UnauthenticatedError("the old password is wrong")
    return set_password(engine, user, new)


def offer_reset(engine: Engine, user_id: str, digest: str) -> Reset:
    """Let whoever has the token of that digest choose a password, once. Raises as `change`."""
    reset = Reset(digest, engine.clock.now() + RESET_LIFE)
    change(engine, user_id, lambda user: replace(user, reset=reset))
    return reset


def reset_password(engine: Engine, user_id: str, digest: str, password: str) -> User:
    """Choose a password by a reset token. Raises as `set_password`.

    Raises:
        UnauthenticatedError: the token is not this user's, was used, or its time is over.
    """
    try:
        user = engine.accounts.user(user_id)
    except NotFoundError:
        raise _no_reset() from None
    _check_reset(engine, user, digest)
    check_password(password, user.email)
    hashed, stamp = engine.passwords.hash(password), engine.ids.nonce()

    def changed(found: User) -> User:
        # Looked at again: of two who show one token the second is refused.
        _check_reset(engine, found, digest)
        return replace(found, password_hash=hashed, stamp=stamp, reset=None)

    return _issued(engine, user_id, changed)


def _rights(engine: Engine, user_id: str, changed: Callable[[User], User]) -> User:
    """Change what the user may do: what he watches live he must ask for again. As `change`."""
    user = change(engine, user_id, changed)
    close_user(engine, user_id, ClosingCode.RIGHTS_LOST)
    return user


def _issued(engine: Engine, user_id: str, changed: Callable[[User], User]) -> User:
    """Change the user so that his log-ins end, and what they watch live. As `change`."""
    user = change(engine, user_id, changed)
    close_logged_in(engine, user_id)
    return user


def _check_reset(engine: Engine, user: User, digest: str) -> None:
    reset = user.reset
    is_good = reset is not None and reset.digest == digest
    if not is_good or user.disabled or (reset and engine.clock.now() >= reset.expires_at):
        raise _no_reset()


def _no_reset() -> UnauthenticatedError:
    return UnauthenticatedError("this reset link was used, or its time is over: ask for another")


def _keep_an_admin(engine: Engine, leaving: str) -> None:
    user = engine.accounts.user(leaving)
    if not user.is_admin or user.disabled:
        return
    admins = [one for one in engine.accounts.users() if one.is_admin and not one.disabled]
    if [one.user_id for one in admins] == [leaving]:
        raise ConflictError(f"{user.email} is the only administrator: make another one first")


def _roles_of(engine: Engine, names: Iterable[str]) -> tuple[str, ...]:
    roles = tuple(sorted(set(names)))
    known = {**engine.access.roles(), **BUILT_IN} if roles else BUILT_IN
    for role in roles:
        if role not in known:
            raise InvalidError(f"there is no role {role[:80]!r}: {', '.join(sorted(known))}")
    if len(roles) > MOST_ROLES_OF_ONE:
        raise InvalidError(f"a user has {MOST_ROLES_OF_ONE} roles at most")
    return roles
