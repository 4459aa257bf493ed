"""People who log in: what is kept of them, and what names, addresses and passwords may be.

One rule: `stamp` changes whenever all that was issued to somebody must end; what was issued under
another one is worth nothing. Source: HTTP API, sections 4.1 and 4.6; security, S3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.common_passwords import COMMON
from chalicelib.domain.errors import InvalidError, Violation

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 128
MOST_GROUPS = 100
MOST_ROLES_OF_ONE = 20
_LONGEST_NAME = 200
_LONGEST_EMAIL = 254
_LONGEST_GROUP = 64
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FEWEST_DISTINCT = 5


@dataclass(frozen=True, slots=True)
class AuthLink:
    """A way to sign in that a provider vouches for; `subject` is its name for the user."""

    provider: str
    subject: str


@dataclass(frozen=True, slots=True)
class Reset:
    """A password reset that somebody was given; only its digest is kept."""

    digest: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with an address, in lower case, that no other user has.

    `password_hash` None: by a provider only. `stamp` stands in all tokens and sessions.
    """

    user_id: str
    email: str
    created_at: datetime
    stamp: str = field(repr=False)
    name: str | None = None
    is_admin: bool = False
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    disabled: bool = False
    password_hash: str | None = field(default=None, repr=False)
    last_login_at: datetime | None = None
    links: tuple[AuthLink, ...] = ()
    reset: Reset | None = None

    @property
    def auth_methods(self) -> list[str]:
        """Return how the user can sign in: `password`, and the providers."""
        own = ["password"] if self.password_hash else []
        return own + [link.provider for link in self.links]


def email_of(text: str) -> str:
    """Return the address as it is kept.

    Raises:
        InvalidError: it is none.
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > _LONGEST_EMAIL:
        raise _invalid("/email", f"{email[:80]!r} is no e-mail address")
    return email


def name_of(text: str | None) -> str | None:
    """Return the name to show, None for an empty one. Raises InvalidError."""
    name = (text or "").strip()
    if len(name) > _LONGEST_NAME or _CONTROL.search(name):
        raise _invalid("/name", f"must have at most {_LONGEST_NAME} printable characters")
    return name or None


def groups_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of groups, each once, in order.

    Raises:
        InvalidError: a name has not 1 to 64 characters, or there are too many.
    """
    groups = tuple(sorted({name.strip() for name in names}))
    for group in groups:
        if not 0 < len(group) <= _LONGEST_GROUP or _CONTROL.search(group):
            text = f"{group[:80]!r}: a group's name has 1 to {_LONGEST_GROUP} characters"
            raise _invalid("/groups", text)
    if len(groups) > MOST_GROUPS:
        raise _invalid("/groups", f"are {len(groups)}, the limit is {MOST_GROUPS}")
    return groups


def check_password(password: str, email: str) -> None:
    """Raise InvalidError for a password that is too short, too long, or easily guessed."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        bounds = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
        raise _invalid("/password", f"must have {bounds} characters")
    plain = password.lower()
    if plain in COMMON or len(set(plain)) < _FEWEST_DISTINCT:
        raise _invalid("/password", "stands in lists of leaked passwords: choose another")
    if plain in (email, email.partition("@")[0] * 2):
        raise _invalid("/password", "is made of the address: choose another")


def _invalid(pointer: str, text: str) -> InvalidError:
    return InvalidError(f"{pointer[1:]}: {text}", (Violation(pointer, text),))
