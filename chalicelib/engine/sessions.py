"""Sessions: begun at a log-in, renewed by each refresh token once, ended by users or a theft.

One rule: of one session one token is in force; whoever shows an older one ends it for everybody.
Source: security, S2; RFC 9700, section 4.14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.domain.accounts import User
from chalicelib.domain.audit import AuditEntry, AuditResult
from chalicelib.domain.credentials import SESSION_LIFE, Session, Shown
from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
    StroemError,
    UnauthenticatedError,
)
from chalicelib.engine import audit
from chalicelib.engine.engine import Engine
from chalicelib.engine.live.closing import close_logged_in

_TRIES = 5


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A refresh token as somebody shows it.

    `next_digests` are those of the tokens that may follow it, by each signing key; the first is
    that of the key in use.
    """

    user_id: str
    session_id: str
    digest: str
    next_digests: Sequence[str]
    device: str


def begin(engine: Engine, user: User, session_id: str, digest: str, device: str) -> Session:
    """Begin a session of the user's. Raises UnavailableError."""
    now = engine.clock.now()
    session = Session(
        session_id=session_id,
        user_id=user.user_id,
        stamp=user.stamp,
        digest=digest,
        device=device,
        created_at=now,
        expires_at=now + SESSION_LIFE,
    )
    engine.accounts.put_session(session, None)
    return session


def renew(engine: Engine, shown: ShownToken) -> tuple[User, int]:
    """Put the next token in force; return the user, and which of `next_digests` that is.

    The token that was replaced just now, shown by the same device, gets the same answer again:
    the first may have been lost.

    Raises:
        UnauthenticatedError: the session is over, or its user is shut out; or the token is an old
            one, and the session is over now.
    """
    for _ in range(_TRIES):
        user, session = _live(engine, shown)
        match session.judge(shown.digest, shown.device, engine.clock.now()):
            case Shown.OVER:
                raise _over()
            case Shown.REUSED:
                _revoke(engine, session)
                close_logged_in(engine, user.user_id)
                _tell(engine, user, session)
                raise UnauthenticatedError("this refresh token was used before: log in again")
            case Shown.REPEATED:
                return user, _index(shown.next_digests, session.digest)
            case Shown.CURRENT:
                wanted = session.renewed(shown.next_digests[0], shown.device, engine.clock.now())
        try:
            engine.accounts.put_session(wanted, session)
        except ConflictError:
            continue
        return user, 0
    raise ConflictError("this session is being renewed by others: try again")


def end(engine: Engine, user_id: str, session_id: str, digest: str) -> User | None:
    """End the session that the token is of, if it is; safe to repeat. Return its user."""
    try:
        session = engine.accounts.session(user_id, session_id)
    except NotFoundError:
        return None
    # A token just replaced ends it as well: it is a token of this session all the same.
    if digest not in (session.digest, session.previous):
        return None
    _revoke(engine, session)
    close_logged_in(engine, user_id)
    try:
        return engine.accounts.user(user_id)
    except NotFoundError:
        return None


def _live(engine: Engine, shown: ShownToken) -> tuple[User, Session]:
    try:
        session = engine.accounts.session(shown.user_id, shown.session_id)
        user = engine.accounts.user(shown.user_id)
    except NotFoundError:
        raise _over() from None
    if user.disabled or user.stamp != session.stamp:
        raise _over()
    return user, session


def _revoke(engine: Engine, session: Session) -> None:
    for _ in range(_TRIES):
        if session.revoked:
            return
        try:
            engine.accounts.put_session(replace(session, revoked=True), session)
        except ConflictError:
            session = engine.accounts.session(session.user_id, session.session_id)
            continue
        return
    raise ConflictError("this session is being renewed by others: try again")


def _tell(engine: Engine, user: User, session: Session) -> None:
    entry = AuditEntry(
        action="refresh_token_reused",
        resource=f"session {session.session_id}",
        result=AuditResult.DENIED,
        actor=user.email,
        actor_kind="user",
        actor_id=user.user_id,
    )
    try:
        audit.record(engine, entry)
    except StroemError:
        # The session is over all the same, which matters more.
        return


def _index(digests: Sequence[str], wanted: str) -> int:
    if wanted not in digests:
        # The key that made it has gone since.
        raise _over()
    return list(digests).index(wanted)


def _over() -> UnauthenticatedError:
    return UnauthenticatedError("this session is over: log in again")
