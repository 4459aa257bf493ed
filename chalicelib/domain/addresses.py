"""Which addresses of the network we may be sent to by somebody who writes an address down.

One rule: what is not plainly a public address is refused, in whatever form it is written.
Source: security, S8; IANA special-purpose address registries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import urlsplit

from chalicelib.domain.errors import InvalidError, PermissionDeniedError

Address: TypeAlias = "IPv4Address | IPv6Address"
Network: TypeAlias = "IPv4Network | IPv6Network"

MAX_URL_CHARS = 2048
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?!-)[a-z0-9-_]{1,63}(?<!-)(\.(?!-)[a-z0-9-_]{1,63}(?<!-))*\.?")
# `127.1`, `0x7f000001`, `017700000001`: some resolvers take these for addresses.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
# Who may ask here gets credentials: no setting lets anybody through.
_METADATA: tuple[Network, ...] = tuple(
    map(ip_network, ("169.254.0.0/16", "fd00:ec2::/32", "fe80::/10", "100.100.100.200/32"))
)
_CLOSED: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/16",
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
            "5f00::/16",
            "fc00::/7",
            "fec0::/10",
            "ff00::/8",
        ),
    )
)
# Where an IPv4 address stands inside of one of IPv6: the bits that follow the prefix, or the last.
_LAST_32 = tuple(map(IPv6Network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_6TO4 = IPv6Network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)
_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. `host` is in lower case, without brackets; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Return scheme, host and port: what may be shown of a URL, whose path may be secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def authority(self) -> str:
        """Return what the `Host` header says."""
        return self.origin.partition("://")[2]


def read_url(url: str) -> Target:
    """Return where the URL leads.

    Raises:
        InvalidError: it is no plain http or https URL. The message does not hold it.
    """
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidError(
            f"the URL has spaces, control or non-ASCII characters, or over {MAX_URL_CHARS} of them"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidError("the URL cannot be read: its host or its port is wrong") from None
    if parts.scheme not in _PORTS or "\\" in url:
        raise InvalidError("the URL must begin with https:// or http://, and hold no `\\`")
    if parts.username is not None or parts.password is not None:
        raise InvalidError("the URL must not hold a user or password: use headers")
    if "[" in parts.netloc and ":" not in host:
        raise InvalidError("the URL's host is in brackets, and no IPv6 address")
    _check_host(host)
    if port == 0:
        raise InvalidError("the URL's port must not be 0")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host.rstrip("."), port or _PORTS[parts.scheme], path)


def _check_host(host: str) -> None:
    if ":" in host:
        if "%" in host or literal(host) is None:
            raise InvalidError("the URL's host is no IPv6 address, or one with a zone")
        return
    if not _HOST.fullmatch(host):
        raise InvalidError("the URL's host is no name: letters, digits, `-` and `.`")
    last = host.rstrip(".").rpartition(".")[2]
    if _NUMBER.fullmatch(last) and literal(host) is None:
        raise InvalidError("the URL's host is a number: write an address as four decimal ones")


def literal(host: str) -> Address | None:
    """Return the address that the host is, in the one usual spelling; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def check_address(text: str, allowed: Sequence[Network] = ()) -> Address:
    """Return the address if we may connect to it. `allowed` are networks that may be private.

    Raises:
        PermissionDeniedError: we may not, or it is none.
    """
    address = literal(text)
    if address is None:
        raise _refused(text, "it is no address")
    # Each form is judged, the whole one and what stands inside of it.
    for form in forms_of(address):
        if _in(form, _METADATA):
            raise _refused(text, "link-local and metadata services are never called")
        if not _in(form, allowed) and (_in(form, _CLOSED) or not _is_public(form)):
            raise _refused(text, "it is private or reserved; STROEM_NOTIFY_ALLOW may allow it")
    return address


def forms_of(address: Address) -> tuple[Address, ...]:
    """Return what the address means to somebody on its way.

    That is itself, or the IPv4 address that a translator takes out of it.
    """
    if isinstance(address, IPv4Address):
        return (address,)
    bits = int(address)
    if address in _6TO4:
        return (IPv4Address(bits >> 80 & _32_BITS),)
    if bits > 1 and any(address in network for network in _LAST_32):
        return (IPv4Address(bits & _32_BITS),)
    if bits >> 32 & _32_BITS in _ISATAP:
        return (address, IPv4Address(bits & _32_BITS))
    return (address,)


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that are written as `10.0.0.0/8` or `10.1.2.3`. Raises InvalidError."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise InvalidError(
            f"STROEM_NOTIFY_ALLOW: {error}: write networks as 10.0.0.0/8, several by commas"
        ) from None


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def _in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in networks)


def _refused(text: str, why: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"the address {text[:80]} is not called: {why}")
