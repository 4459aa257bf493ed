"""Who this user is on which server: one file, that nobody else may read.

One rule: the file is written whole and never readable by others, not even for a moment.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.cli.exits import CommandError, Exit

_EARLY_S = 30


@dataclass(frozen=True, slots=True)
class Credential:
    """What is shown to a server. Without a refresh token: an API key, or what was given as one."""

    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float = 0.0

    def is_stale(self, now: float) -> bool:
        """Say whether it is to be renewed before it is shown, at this time of the machine."""
        return self.refresh_token is not None and now >= self.expires_at - _EARLY_S


def place() -> Path:
    """Return the file: STROEM_CREDENTIALS, or one in the user's folder of settings."""
    named = os.environ.get("STROEM_CREDENTIALS")
    if named:
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "stroem" / "credentials.json"


def load(server: str) -> Credential | None:
    """Return what is kept for the server, None if nothing is.

    Raises:
        CommandError: the file cannot be read.
    """
    found = _read().get(_name(server))
    if not isinstance(found, dict) or not isinstance(found.get("token"), str):
        return None
    return Credential(
        found["token"], found.get("refresh_token"), float(found.get("expires_at") or 0)
    )


def save(server: str, credential: Credential | None) -> None:
    """Keep it for the server; None: nothing any more. Raises CommandError."""
    kept = _read()
    kept.pop(_name(server), None)
    if credential is not None:
        kept[_name(server)] = {
            "token": credential.token,
            "refresh_token": credential.refresh_token,
            "expires_at": credential.expires_at,
        }
    path = place()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made by mkstemp, so it is ours alone from the first byte on.
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
        Path(scratch).replace(path)
    except OSError as error:
        raise CommandError(Exit.USAGE, f"cannot write {path}: {error.strerror}") from None


@dataclass(slots=True)
class Kept:
    """The credential that is kept for a server, renewed when it has to be.

    `exchange` trades a refresh token for the next credential.
    """

    server: str
    exchange: Callable[[str], Credential]
    now: Callable[[], float]
    _known: Credential | None = None

    def token(self) -> str | None:
        """Return what to show; None: nothing is kept."""
        if self._known is None:
            self._known = load(self.server)
        if self._known is not None and self._known.is_stale(self.now()):
            self.renew()
        return self._known.token if self._known else None

    def renew(self) -> bool:
        """Renew it; say whether there is another one to show now."""
        # Another command may have renewed it since we looked.
        found = load(self.server)
        if found is not None and found != self._known and not found.is_stale(self.now()):
            self._known = found
            return True
        if found is None or found.refresh_token is None:
            return False
        try:
            self._known = self.exchange(found.refresh_token)
        except CommandError as error:
            if error.code is not Exit.PERMISSION:
                raise
            return False
        save(self.server, self._known)
        return True


def _read() -> dict[str, Any]:
    path = place()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise CommandError(
            Exit.USAGE, f"cannot read {path} ({why}): remove it and run `stroem login` again"
        ) from None
    return found if isinstance(found, dict) else {}


def _name(server: str) -> str:
    return server.rstrip("/").lower()
