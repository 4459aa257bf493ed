"""Log-in at OpenID providers: where to send a browser, and who came back.

One rule: what a provider says is believed of that provider only, and only in the log-in that this
browser began. Source: security, S4; OpenID Connect Core; RFC 9700; RFC 9207.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from chalicelib.auth import id_tokens
from chalicelib.auth.flows import Flows, challenge_of
from chalicelib.auth.issuer import Issuer
from chalicelib.auth.web import Web
from chalicelib.domain.errors import (
    NotFoundError,
    StroemError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.domain.oidc import Identity, Provider
from chalicelib.domain.references import is_reference, parse_reference, part_of
from chalicelib.engine.ports import Clock
from chalicelib.engine.ports_oidc import Departure, Flow
from chalicelib.engine.ports_secrets import Secrets

_log = logging.getLogger("stroem.auth")
SCOPES = "openid email profile"
LONGEST_CODE = 4096
_OF_NO_WORKSPACE = ""
_ERROR_CODE = re.compile(r"[a-z_]{1,64}")


def callback_url(base_url: str, provider_id: str) -> str:
    """Return the address that a provider is told to send browsers back to: one for each."""
    return f"{base_url.rstrip('/')}/api/auth/oidc/{provider_id}/callback"


@dataclass(frozen=True, slots=True)
class ClientSecrets:
    """Tells what a configured secret stands for: itself, or what it refers to."""

    secrets: Secrets

    def __call__(self, configured: str) -> str:
        """Return the secret.

        Raises:
            UnavailableError: it cannot be read; why, which is not for visitors, is logged.
        """
        if not is_reference(configured):
            return configured
        reference = parse_reference(configured)
        try:
            return part_of(reference, self.secrets.fetch(reference, _OF_NO_WORKSPACE))
        except StroemError as error:
            _log.warning("client secret not read", extra={"error": error.message})
            raise UnavailableError(
                "the secret of this client cannot be read: an administrator finds why in the log"
            ) from None


class OidcProviders:
    """The providers that the configuration names. Safe for any number of threads."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        base_url: str,
        flows: Flows,
        clock: Clock,
        web: Web,
        secret_of: Callable[[str], str],
    ) -> None:
        """`secret_of` is `ClientSecrets`, or a fake of it."""
        self._providers = dict(providers)
        self._base_url = base_url
        self._flows = flows
        self._clock = clock
        self._issuers = {
            one.provider_id: Issuer(one, web, clock, secret_of) for one in providers.values()
        }

    def listed(self) -> Sequence[Provider]:
        return tuple(self._providers.values())

    def provider(self, provider_id: str) -> Provider:
        try:
            return self._providers[provider_id]
        except KeyError:
            raise NotFoundError(f"there is no provider {provider_id[:80]!r}") from None

    def depart(self, provider_id: str, going_on: str | None) -> Departure:
        provider = self.provider(provider_id)
        described = self._issuers[provider_id].described()
        flow, cookie = self._flows.begin(provider_id, going_on, self._clock.now())
        wanted = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": callback_url(self._base_url, provider_id),
            "scope": SCOPES,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge_of(flow.verifier),
            "code_challenge_method": "S256",
        }
        address = described.authorization_endpoint
        joint = "&" if "?" in address else "?"
        return Departure(f"{address}{joint}{urlencode(wanted)}", cookie)

    def recall(self, provider_id: str, cookie: str | None, state: str | None) -> Flow:
        self.provider(provider_id)
        if not cookie or not state:
            raise UnauthenticatedError("this browser began no such log-in: begin again")
        return self._flows.recall(provider_id, cookie, state, self._clock.now())

    def identify(self, flow: Flow, returned: Mapping[str, str]) -> Identity:
        provider = self.provider(flow.provider_id)
        issuer = self._issuers[flow.provider_id]
        _check_sender(issuer, returned)
        code = _code_in(provider, returned)
        back = callback_url(self._base_url, flow.provider_id)
        tokens = issuer.redeem(code, back, flow.verifier)
        expected = id_tokens.Expected(provider.issuer_url, provider.client_id, flow.nonce)
        claims = id_tokens.read(tokens.id_token, expected, issuer.keys, self._clock.now())
        if "email" not in claims:
            claims = {**issuer.user_info(tokens.access_token, claims["sub"]), **claims}
        return _identity(claims)


def _check_sender(issuer: Issuer, returned: Mapping[str, str]) -> None:
    """Refuse an answer that another provider sent us (mix-up). Source: RFC 9207, section 2.4."""
    sender = returned.get("iss")
    described = issuer.described()
    if sender != described.issuer and (sender is not None or described.names_itself):
        raise UnauthenticatedError("this answer comes from another provider: begin again")


def _code_in(provider: Provider, returned: Mapping[str, str]) -> str:
    error, code = returned.get("error"), returned.get("code")
    if error is not None:
        # Its description is anybody's text, and this one is shown on our page.
        named = error if _ERROR_CODE.fullmatch(error) else "an unknown reason"
        raise UnauthenticatedError(f"{provider.display_name} let nobody in: {named}")
    if not code or len(code) > LONGEST_CODE:
        raise UnauthenticatedError(f"{provider.display_name} sent no code: begin again")
    return code


def _identity(claims: Mapping[str, Any]) -> Identity:
    email, name = claims.get("email"), claims.get("name")
    return Identity(
        issuer=claims["iss"],
        subject=claims["sub"],
        email=email if isinstance(email, str) else None,
        # Nothing but true counts: some say "true", and then anything may be meant.
        is_verified=claims.get("email_verified") is True,
        name=name if isinstance(name, str) else None,
    )
