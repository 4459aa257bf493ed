"""API keys as texts: `strm_` and 32 hexadecimal digits, of which the first seven are its name.

One rule: a key is shown once; what is kept is a digest. Source: security, S5; HTTP API, 4.6.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from chalicelib.domain.accounts import name_of
from chalicelib.domain.callers import Permission
from chalicelib.domain.credentials import ApiKey
from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.engine import api_keys
from chalicelib.engine.engine import Engine

BEGINNING = "strm_"
MOST_WORKSPACES = 50
_PREFIX = 12
_DIGITS = 16
_SHOWN = re.compile(r"strm_[0-9a-f]{32}")
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The key that somebody asks for; None: no bounds."""

    name: str
    expires_at: datetime | None = None
    scopes: Iterable[str] | None = None
    workspaces: Iterable[str] | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key: `text` is shown once and kept nowhere."""

    key: ApiKey
    text: str = field(repr=False)


def issue(engine: Engine, user_id: str, wanted: Wanted) -> IssuedKey:
    """Make a key of the user's. Raises as `api_keys.add`."""
    name = name_of(wanted.name)
    if name is None:
        raise InvalidError("name: a key needs one, by which you know it again")
    scopes, workspaces = _scopes(wanted.scopes), _workspaces(wanted.workspaces)
    for _ in range(_TRIES):
        text = f"{BEGINNING}{secrets.token_hex(_DIGITS)}"
        key = ApiKey(
            prefix=text[:_PREFIX],
            digest=digest_of(text),
            user_id=user_id,
            name=name,
            created_at=engine.clock.now(),
            expires_at=wanted.expires_at,
            scopes=scopes,
            workspaces=workspaces,
        )
        try:
            api_keys.add(engine, key)
        except ConflictError:
            # Another key begins alike.
            continue
        return IssuedKey(key, text)
    raise ConflictError("no key could be made now: try again")


def prefix_of(text: str) -> str | None:
    """Return the name of the key that the text may be; None if it is spelled like none."""
    return text[:_PREFIX] if _SHOWN.fullmatch(text) else None


def is_right(key: ApiKey, text: str) -> bool:
    """Say whether the text is the key."""
    return compare_digest(key.digest, digest_of(text))


def digest_of(text: str) -> str:
    """Return what is kept of a key: 128 random bits need no slow hash."""
    return sha256(text.encode()).hexdigest()


def find(engine: Engine, text: str) -> ApiKey | None:
    """Return the key that the text is, expired or not."""
    prefix = prefix_of(text)
    if prefix is None:
        return None
    try:
        key = engine.accounts.key(prefix)
    except NotFoundError:
        return None
    return key if is_right(key, text) else None


def _scopes(names: Iterable[str] | None) -> frozenset[Permission] | None:
    if names is None:
        return None
    known = {one.value for one in Permission}
    given = sorted(set(names))
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise InvalidError(f"scopes: {name[:80]!r} is no permission: choose of {listed}")
    return frozenset(map(Permission, given))


def _workspaces(names: Iterable[str] | None) -> frozenset[str] | None:
    if names is None:
        return None
    found = frozenset(names)
    if not 0 < len(found) <= MOST_WORKSPACES or any(not 0 < len(one) <= 100 for one in found):  # noqa: PLR2004 - the longest name
        raise InvalidError(f"workspaces: name 1 to {MOST_WORKSPACES} of them, or leave them out")
    return found
