"""The keys that a provider signs with: which are usable, and by which one algorithm each.

One rule: a key says by which algorithm it is used, never the token; only keys that check
signatures and cannot make them are taken. Source: security, S1, S4; RFC 7517; RFC 8725, 3.1.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.auth.kept import AGAIN_AFTER, Kept
from chalicelib.auth.web import Web
from chalicelib.domain.errors import UnauthenticatedError, UnavailableError
from chalicelib.engine.ports import Clock

if TYPE_CHECKING:
    from jwt import PyJWK

MOST_KEYS = 64
_MOST_STRANGERS = 16
_OK = 200
# By type and curve; the first is for a key that does not say which.
_ALGORITHMS = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key with its only algorithm; `key_id` None: the provider names none."""

    key_id: str | None
    algorithm: str
    key: PyJWK


class KeySet:
    """A provider's keys, kept as `Kept` does. Safe for any number of threads."""

    def __init__(self, url: Callable[[], str], web: Web, clock: Clock) -> None:
        self._kept = Kept(lambda: _read(web, url()), clock)
        self._clock = clock
        self._strangers: dict[str, datetime] = {}
        self._guard = threading.Lock()

    def key_of(self, key_id: str | None) -> SigningKey:
        """Return the key of that id; without an id, the only one.

        An id that is not known makes us look again, each once a minute.

        Raises:
            UnauthenticatedError: there is no such key, or it is not clear which.
            UnavailableError: the keys could not be had, ever.
        """
        found = _choose(self._kept.get(), key_id)
        if found is None and key_id is not None and self._may_look_for(key_id):
            found = _choose(self._kept.look_again(), key_id)
        if found is None:
            raise UnauthenticatedError("the provider signed with a key that it does not publish")
        return found

    def _may_look_for(self, key_id: str) -> bool:
        with self._guard:
            now = self._clock.now()
            for one in [one for one, until in self._strangers.items() if until <= now]:
                del self._strangers[one]
            if key_id in self._strangers or len(self._strangers) >= _MOST_STRANGERS:
                return False
            self._strangers[key_id] = now + AGAIN_AFTER
            return True


def _choose(keys: tuple[SigningKey, ...], key_id: str | None) -> SigningKey | None:
    fitting = [key for key in keys if key_id in (None, key.key_id)]
    return fitting[0] if len(fitting) == 1 else None


def _read(web: Web, url: str) -> tuple[SigningKey, ...]:
    answer = web.get(url, {})
    try:
        said = json.loads(answer.body) if answer.status == _OK else None
    except (ValueError, RecursionError):
        said = None
    listed = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise UnavailableError(f"{url} answered {answer.status} and no set of keys")
    keys = tuple(key for key in map(_usable, listed) if key is not None)
    if not keys:
        raise UnavailableError(f"{url} has no key that signatures can be checked with")
    return keys


def _usable(said: Any) -> SigningKey | None:  # noqa: ANN401 - JSON
    """Return the key if it is one to check signatures with; providers list others, too."""
    import jwt  # noqa: PLC0415 - it loads slowly, and few processes need it

    if not isinstance(said, dict) or said.get("use", "sig") != "sig" or "d" in said:
        return None
    algorithm = _algorithm_of(said)
    key_id = said.get("kid")
    if algorithm is None or not isinstance(key_id, str | None):
        return None
    try:
        return SigningKey(key_id, algorithm, jwt.PyJWK(said, algorithm))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None


def _algorithm_of(said: Mapping[str, Any]) -> str | None:
    kind, curve = said.get("kty"), said.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    possible = _ALGORITHMS.get((kind, curve), ())
    named = said.get("alg")
    if named is None:
        return possible[0] if possible else None
    return named if isinstance(named, str) and named in possible else None
