"""One provider as it describes itself, and what is asked of it: tokens, and who somebody is.

One rule: every address is its own, from the document that names the configured issuer, exactly.
Source: OpenID Connect Discovery, section 4.3; Core, sections 3.1.3 and 5.3.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from chalicelib.auth.jwks import KeySet
from chalicelib.auth.kept import Kept
from chalicelib.auth.web import Web, WebAnswer
from chalicelib.domain.errors import UnauthenticatedError, UnavailableError
from chalicelib.domain.oidc import Provider, is_loopback, is_safe_url
from chalicelib.engine.ports import Clock

_WELL_KNOWN = "/.well-known/openid-configuration"
_OK, _SERVER_FAULT, _TOO_MANY = 200, 500, 429
_BASIC, _POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class Described:
    """What a provider says of itself. `names_itself`: its answers must say who sent them."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    names_itself: bool
    takes_basic: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was exchanged for."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class Issuer:
    """A configured provider. Safe for any number of threads."""

    def __init__(
        self, provider: Provider, web: Web, clock: Clock, secret_of: Callable[[str], str]
    ) -> None:
        self._provider = provider
        self._web = web
        self._secret_of = secret_of
        self._described = Kept(self._describe, clock)
        self.keys = KeySet(lambda: self.described().jwks_uri, web, clock)

    def described(self) -> Described:
        """Return what it says of itself. Raises UnavailableError."""
        return self._described.get()

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> Tokens:
        """Exchange the code. Raises UnauthenticatedError, UnavailableError."""
        described = self.described()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = self._authenticate(described, fields)
        answer = self._web.post(described.token_endpoint, fields, headers)
        said = self._said(answer, "token endpoint")
        id_token, access_token = said.get("id_token"), said.get("access_token")
        if not isinstance(id_token, str):
            raise UnauthenticatedError(f"{self._provider.display_name} gave no ID token")
        return Tokens(id_token, access_token if isinstance(access_token, str) else "")

    def user_info(self, access_token: str, subject: str) -> Mapping[str, Any]:
        """Return the claims beside the ID token; none where there is no place to ask.

        Raises:
            UnauthenticatedError: they are of somebody else.
            UnavailableError: no answer.
        """
        url = self.described().userinfo_endpoint
        if url is None or not access_token.isascii() or not access_token.isprintable():
            return {}
        answer = self._web.get(url, {"Authorization": f"Bearer {access_token}"})
        said = self._said(answer, "userinfo endpoint")
        if said.get("sub") != subject:
            raise UnauthenticatedError("the provider's userinfo is of somebody else")
        return said

    def _authenticate(self, described: Described, fields: dict[str, str]) -> dict[str, str]:
        """Put the client's secret where the provider wants it; return the headers."""
        provider = self._provider
        if provider.client_secret is None:
            fields["client_id"] = provider.client_id
            return {}
        secret = self._secret_of(provider.client_secret)
        if not described.takes_basic:
            fields |= {"client_id": provider.client_id, "client_secret": secret}
            return {}
        # Each part is spelled as in a form first. Source: RFC 6749, section 2.3.1.
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def _said(self, answer: WebAnswer, where: str) -> dict[str, Any]:
        named = f"the {where} of {self._provider.display_name}"
        if answer.status >= _SERVER_FAULT or answer.status == _TOO_MANY:
            raise UnavailableError(f"{named} answered {answer.status}: try again")
        if answer.status != _OK:
            raise UnauthenticatedError(f"{named} refused ({answer.status}): begin again")
        return _document(answer, named)

    def _describe(self) -> Described:
        provider = self._provider
        url = provider.issuer_url.rstrip("/") + _WELL_KNOWN
        answer = self._web.get(url, {})
        if answer.status != _OK:
            raise UnavailableError(f"{url} answered {answer.status}: check `issuer_url`")
        said = _document(answer, url)
        if said.get("issuer") != provider.issuer_url:
            raise UnavailableError(
                f"{url} is of the issuer {str(said.get('issuer'))[:200]!r}, not of "
                f"{provider.issuer_url!r}: `issuer_url` must be the same, slash and all"
            )
        ways = said.get("token_endpoint_auth_methods_supported") or [_BASIC]
        return Described(
            issuer=provider.issuer_url,
            authorization_endpoint=self._address(said, "authorization_endpoint"),
            token_endpoint=self._address(said, "token_endpoint"),
            jwks_uri=self._address(said, "jwks_uri"),
            userinfo_endpoint=(
                self._address(said, "userinfo_endpoint") if "userinfo_endpoint" in said else None
            ),
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=_BASIC in ways or _POST not in ways,
        )

    def _address(self, said: Mapping[str, Any], name: str) -> str:
        """Return an address of the document. What is elsewhere may not send us to this machine."""
        url = said.get(name)
        is_here = is_loopback(self._provider.issuer_url)
        if not isinstance(url, str) or not is_safe_url(url, loopback=is_here):
            raise UnavailableError(
                f"{self._provider.issuer_url} gives as {name} {str(url)[:200]!r}: it must begin "
                "with https://"
            )
        return url


def _document(answer: WebAnswer, named: str) -> dict[str, Any]:
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UnavailableError(f"{named} answered with no JSON object")
    return said
