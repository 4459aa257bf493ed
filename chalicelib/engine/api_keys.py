"""API keys: made, listed, taken away, and told apart. Source: security, S5; HTTP API, 4.6."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.credentials import ApiKey
from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from chalicelib.engine.engine import Engine
from chalicelib.engine.live.closing import close_key

MOST_KEYS = 100


def of_user(engine: Engine, user_id: str) -> list[ApiKey]:
    """Return the user's keys, oldest first; those whose time is over too."""
    return [key for key in engine.accounts.api_keys() if key.user_id == user_id]


def add(engine: Engine, key: ApiKey) -> None:
    """Keep a key.

    Raises:
        InvalidError: its user has too many.
        ConflictError: there is one of that prefix.
    """
    if len(of_user(engine, key.user_id)) >= MOST_KEYS:
        raise InvalidError(f"you have {MOST_KEYS} API keys, which is the limit: delete one first")
    engine.accounts.put_key(key, None)


def remove(engine: Engine, user_id: str, prefix: str) -> ApiKey:
    """Take a key of the user's away. Raises NotFoundError."""
    try:
        key = engine.accounts.key(prefix)
    except NotFoundError:
        key = None
    if key is None or key.user_id != user_id:
        raise NotFoundError(f"you have no API key {prefix[:40]!r}")
    engine.accounts.drop_key(prefix)
    close_key(engine, user_id, prefix)
    return key


def used(engine: Engine, key: ApiKey, now: datetime) -> None:
    """Note the day on which the key was used last; that it cannot be noted stops nobody."""
    if key.last_used_at is not None and key.last_used_at.date() == now.date():
        return
    with suppress(ConflictError, UnavailableError):
        engine.accounts.put_key(replace(key, last_used_at=now), key)
