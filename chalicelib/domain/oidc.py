"""Identity providers and those who come from them: what is configured, and what may be believed.

One rule: an address counts only if the provider says that it verified it; whoever was let in once
is known by issuer and subject from then on. Source: security, S4; HTTP API, section 4.6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from chalicelib.domain.accounts import AuthLink, User, email_of, groups_of, name_of
from chalicelib.domain.errors import InvalidError, PermissionDeniedError
from chalicelib.domain.references import ON_CONTROL, is_reference, parse_reference
from chalicelib.domain.values import JsonValue

FLOW_LIFE = timedelta(minutes=10)
LONGEST_SUBJECT = 255
_LONGEST_NEXT = 1024
_LONGEST_TEXT = 1024
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")
_KNOWN = (
    "display_name",
    "issuer_url",
    "client_id",
    "client_secret",
    "default_groups",
    "email_domains",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID provider that users may come from.

    `client_secret` may be a reference, None for a public client. `default_groups` are those of
    users whom it brings. Without `email_domains` whoever has an account there may come.
    """

    provider_id: str
    display_name: str
    issuer_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    default_groups: tuple[str, ...] = ()
    email_domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a provider vouches for; `subject` is its own name for somebody, for ever the same."""

    issuer: str
    subject: str
    email: str | None = None
    is_verified: bool = False
    name: str | None = None


def providers_of(value: JsonValue) -> dict[str, Provider]:
    """Return the providers by id, as an operator wrote them.

    Raises:
        InvalidError: an id, a key or a value is none that may be; secrets are not in it.
    """
    if not isinstance(value, dict):
        raise InvalidError("write an object of providers by their ids")
    return {provider_id: _provider(provider_id, said) for provider_id, said in value.items()}


def is_safe_url(url: str, *, loopback: bool = True) -> bool:
    """Say whether requests may go there: by https, and on this machine by http too.

    `loopback` False: they may not go to this machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or _CONTROL.search(url):
        return False
    if host in _LOOPBACK:
        return loopback and parts.scheme in ("http", "https")
    return parts.scheme == "https"


def is_loopback(url: str) -> bool:
    """Say whether the address is one of this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def next_of(text: str | None) -> str | None:
    """Return where to go on to if it is a path of this site, else None.

    `//host`, `/\\host` and what has control characters lead elsewhere in some browser.
    """
    if not text or len(text) > _LONGEST_NEXT or _CONTROL.search(text):
        return None
    return text if text.startswith("/") and not text.startswith("//") else None


def address_of(provider: Provider, identity: Identity) -> str:
    """Return the address under which somebody new is let in.

    Raises:
        PermissionDeniedError: there is none, it is not verified, or not of a domain let in.
    """
    named = provider.display_name
    if identity.email is None:
        raise PermissionDeniedError(
            f"{named} told no e-mail address: let it give the scope `email` to this client"
        )
    if not identity.is_verified:
        raise PermissionDeniedError(
            f"{named} has not verified your e-mail address: verify it there, then come again"
        )
    try:
        email = email_of(identity.email)
    except InvalidError:
        raise PermissionDeniedError(f"{named} told an e-mail address that is none") from None
    domain = email.rpartition("@")[2]
    if provider.email_domains and domain not in provider.email_domains:
        raise PermissionDeniedError(f"addresses of {domain} are not let in by {named}")
    return email


def shown_name(identity: Identity) -> str | None:
    """Return the name to show; one that may not be is none."""
    try:
        return name_of(identity.name)
    except InvalidError:
        return None


def linked(user: User, link: AuthLink) -> tuple[AuthLink, ...]:
    """Return the user's links with this one.

    Raises:
        PermissionDeniedError: the provider knew somebody else by this address.
    """
    if link in user.links:
        return user.links
    if any(one.provider == link.provider for one in user.links):
        # Addresses are given to others when people leave; what was theirs must not go along.
        raise PermissionDeniedError(
            f"{user.email} belongs to another account of {link.provider!r}: ask an administrator"
        )
    return (*user.links, link)


def _provider(provider_id: str, said: JsonValue) -> Provider:
    if not _ID.fullmatch(provider_id):
        raise InvalidError(f"{provider_id[:80]!r}: an id has lower-case letters, figures, - and _")
    if not isinstance(said, dict):
        raise InvalidError(f"{provider_id}: write an object with {', '.join(_KNOWN)}")
    unknown = sorted(said.keys() - set(_KNOWN))
    if unknown:
        raise InvalidError(f"{provider_id}: has {unknown[0]!r}: only {', '.join(_KNOWN)} may be")
    issuer_url = _text(provider_id, said, "issuer_url")
    if not is_safe_url(issuer_url) or "?" in issuer_url:
        raise InvalidError(
            f"{provider_id}: issuer_url is {issuer_url[:200]!r}: it must begin with https://"
        )
    return Provider(
        provider_id=provider_id,
        display_name=_optional(provider_id, said, "display_name") or provider_id,
        issuer_url=issuer_url,
        client_id=_text(provider_id, said, "client_id"),
        client_secret=_secret(provider_id, said),
        default_groups=_groups(provider_id, said),
        email_domains=frozenset(_domains(provider_id, said)),
    )


def _text(provider_id: str, said: Mapping[str, JsonValue], key: str) -> str:
    text = _optional(provider_id, said, key)
    if text is None:
        raise InvalidError(f"{provider_id}: {key} is missing")
    return text


def _optional(provider_id: str, said: Mapping[str, JsonValue], key: str) -> str | None:
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise InvalidError(f"{provider_id}: {key} must be text of 1 to {_LONGEST_TEXT} characters")
    return value


def _secret(provider_id: str, said: Mapping[str, JsonValue]) -> str | None:
    secret = _optional(provider_id, said, "client_secret")
    if secret is None or not is_reference(secret):
        return secret
    if parse_reference(secret).scheme not in ON_CONTROL:
        kinds = ", ".join(sorted(ON_CONTROL))
        raise InvalidError(f"{provider_id}: client_secret may refer to {kinds} only")
    return secret


def _groups(provider_id: str, said: Mapping[str, JsonValue]) -> tuple[str, ...]:
    try:
        return groups_of(_names(provider_id, said, "default_groups"))
    except InvalidError as error:
        raise InvalidError(f"{provider_id}: default_{error.message}") from None


def _domains(provider_id: str, said: Mapping[str, JsonValue]) -> list[str]:
    domains = [name.lower() for name in _names(provider_id, said, "email_domains")]
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            raise InvalidError(f"{provider_id}: email_domains has {domain[:80]!r}: no domain")
    return domains


def _names(provider_id: str, said: Mapping[str, JsonValue], key: str) -> list[str]:
    value = said.get(key)
    names = [] if value is None else value
    if not isinstance(names, list):
        raise InvalidError(f"{provider_id}: {key} must be a list of names")
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise InvalidError(f"{provider_id}: {key} must be a list of names")
    return texts
