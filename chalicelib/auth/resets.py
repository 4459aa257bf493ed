"""Reset tokens as texts: `strp_`, the user's id and a secret. One rule: each works once."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from chalicelib.domain.accounts import User
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.engine import accounts
from chalicelib.engine.engine import Engine

_SHOWN = re.compile(r"strp_([0-9a-f]{32})_([0-9a-f]{64})")
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class IssuedReset:
    """A new reset token: shown once, to whoever hands it to the user."""

    text: str = field(repr=False)
    expires_at: datetime


def issue(engine: Engine, user_id: str) -> IssuedReset:
    """Make a token by which the user may choose a password; an earlier one is worth nothing.

    Raises:
        NotFoundError: there is no such user.
    """
    secret = secrets.token_hex(_SECRET_BYTES)
    reset = accounts.offer_reset(engine, user_id, _digest(secret))
    return IssuedReset(f"strp_{UUID(user_id).hex}_{secret}", reset.expires_at)


def redeem(engine: Engine, shown: str, password: str) -> User:
    """Give the user of the token that password. Raises as `accounts.reset_password`."""
    parts = _SHOWN.fullmatch(shown)
    if parts is None:
        raise UnauthenticatedError("this is no reset token of ours: ask for another one")
    user_id = str(UUID(parts[1]))
    return accounts.reset_password(engine, user_id, _digest(parts[2]), password)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
