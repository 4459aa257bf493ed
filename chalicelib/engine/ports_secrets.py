"""The port to where secrets live outside of this system.

The one rule: what comes through it is kept in memory only, and for a minute at most.
"""

from __future__ import annotations

from typing import Protocol

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.references import Reference


class Secrets(Protocol):
    """Documents that references name. No error of it holds any part of a document."""

    def fetch(self, reference: Reference, workspace: str) -> str:
        """Return the whole document; its pointer is the caller's to follow.

        Raises:
            NotFoundError: there is no such thing.
            InvalidError: it cannot be used: not text, too large, or not a kind that is known here.
            PermissionDeniedError: this installation, or the workspace, may not read it.
            UnavailableError: the service did not answer; trying again may help.
        """


class NoSecrets:
    """Where no back-end is connected."""

    def fetch(self, reference: Reference, workspace: str) -> str:  # noqa: ARG002 - the port's form
        """Refuse."""
        raise InvalidError(f"{reference.text} cannot be resolved: no secret back-end is connected")
