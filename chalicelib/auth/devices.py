"""Codes of devices that log in: one that people type, and a secret one. Source: RFC 8628."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from chalicelib.domain.accounts import User
from chalicelib.domain.credentials import DeviceGrant
from chalicelib.domain.errors import ConflictError, InvalidError
from chalicelib.engine import devices
from chalicelib.engine.devices import Refused
from chalicelib.engine.engine import Engine

# No vowels, so that no words come out, and nothing that is mistaken for something else.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
_SHOWN = re.compile(rf"strd_([{_LETTERS}]{{{_LENGTH}}})_([0-9a-f]{{64}})")
_CODE = re.compile(rf"[{_LETTERS}]{{{_LENGTH}}}")
_SECRET_BYTES = 32
_LONGEST_CLIENT = 100
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Begun:
    """A device that waits, and the code by which it asks."""

    grant: DeviceGrant
    device_code: str = field(repr=False)


def begin(engine: Engine, client: str) -> Begun:
    """Let a device wait; `client` is what it calls itself."""
    name = "".join(char for char in client if char.isprintable())[:_LONGEST_CLIENT] or "a device"
    for _ in range(_TRIES):
        user_code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        secret = secrets.token_hex(_SECRET_BYTES)
        try:
            grant = devices.begin(engine, user_code, _digest(secret), name)
        except ConflictError:
            continue
        return Begun(grant, f"strd_{user_code}_{secret}")
    raise ConflictError("no code could be made now: try again")


def take(engine: Engine, device_code: str) -> User | Refused:
    """Return who let the device in, or why nobody. Raises as `devices.take`."""
    parts = _SHOWN.fullmatch(device_code)
    if parts is None:
        return Refused.EXPIRED
    return devices.take(engine, parts[1], _digest(parts[2]))


def shown_code(user_code: str) -> str:
    """Return the code as people read it."""
    return f"{user_code[:4]}-{user_code[4:]}"


def code_of(typed: str) -> str:
    """Return the code that somebody typed, whatever the case and the dashes.

    Raises:
        InvalidError: it is none.
    """
    code = re.sub(r"[\s-]", "", typed).upper()
    if not _CODE.fullmatch(code):
        raise InvalidError("this is no code of a device: it looks like BCDF-GHJK")
    return code


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
