"""HMAC-SHA256 over what was sent: how senders of webhooks sign, and how we do.

One rule: whatever is compared with a secret, or made of one, is compared in constant time, and
against every secret that counts. Source: security, S6; Standard Webhooks 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from chalicelib.domain.errors import UnauthenticatedError

WINDOW_S = 300
ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
_KEY_PREFIX = "whsec_"
_VERSION = "v1,"
_LONGEST_ID = 255
_LONGEST_TIMESTAMP = 12
_MOST_SIGNATURES = 10


class Scheme(StrEnum):
    """How a signature is written, and what it is made over.

    `STANDARD` signs id, time and body; the others sign the body alone.
    """

    STANDARD = "standard"
    GITHUB = "github"
    HEX = "hex"
    BASE64 = "base64"


HEADERS: Mapping[Scheme, str] = {
    Scheme.STANDARD: SIGNATURE_HEADER,
    Scheme.GITHUB: "x-hub-signature-256",
    Scheme.HEX: "x-signature",
    Scheme.BASE64: "x-signature",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacRule:
    """How the sender of a webhook signs. Without `secrets` the trigger's own are the keys."""

    scheme: Scheme = Scheme.STANDARD
    header: str | None = None
    secrets: tuple[str, ...] = ()

    @property
    def signature_header(self) -> str:
        """Return the header that holds the signature, in lower case."""
        return (self.header or HEADERS[self.scheme]).lower()


@dataclass(frozen=True, slots=True)
class Signed:
    """A delivery whose signature is good.

    `sent` is the same for a repeat of the very same bytes. `delivery_id` is the sender's name for
    what it tells, the same when it tries again; None where that is not signed.
    """

    sent: str
    delivery_id: str | None = None


def verify(
    rule: HmacRule,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now_s: float,
) -> Signed:
    """Return the delivery that was signed with one of the secrets.

    `headers` have lower-case names, `body` is what came over the wire.

    Raises:
        UnauthenticatedError: it was not, or too long ago.
    """
    given = headers.get(rule.signature_header, "")
    if rule.scheme is not Scheme.STANDARD:
        _check(_written(rule.scheme, given), secrets, body, rule.scheme)
        return Signed(sha256(body).hexdigest())
    delivery_id, sent_at = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not _is_id(delivery_id) or not _is_time(sent_at):
        raise refusal()
    signed = f"{delivery_id}.{sent_at}.".encode() + body
    _check(_standard(given), secrets, signed, rule.scheme)
    if abs(now_s - int(sent_at)) > WINDOW_S:
        raise UnauthenticatedError(
            f"the delivery was signed more than {WINDOW_S} s from now: set the sender's clock, "
            "and sign each try anew"
        )
    return Signed(sha256(f"{delivery_id}\n{sent_at}".encode()).hexdigest(), delivery_id)


def sign(secrets: Sequence[str], delivery_id: str, sent_at: int, body: bytes) -> str:
    """Return the `webhook-signature` of a delivery: one signature for each secret."""
    signed = f"{delivery_id}.{sent_at}.".encode() + body
    digests = (_digest(secret, signed, Scheme.STANDARD) for secret in secrets)
    return " ".join(_VERSION + base64.b64encode(digest).decode() for digest in digests)


def check_secret(given: str | None, secrets: Sequence[str]) -> None:
    """Let pass who shows one of the secrets. Raises UnauthenticatedError."""
    shown = sha256((given or "").encode(errors="replace")).digest()
    known = [sha256(secret.encode()).digest() for secret in secrets]
    is_right = [hmac.compare_digest(shown, one) for one in known]
    if given is None or not any(is_right):
        raise refusal()


def refusal() -> UnauthenticatedError:
    """Return the one answer to everything that is not signed, or not with a secret that counts."""
    return UnauthenticatedError("the secret or the signature of this call is missing or wrong")


def _check(given: Sequence[bytes], secrets: Sequence[str], signed: bytes, scheme: Scheme) -> None:
    wanted = [_digest(secret, signed, scheme) for secret in secrets if secret]
    is_right = [hmac.compare_digest(one, other) for one in wanted for other in given]
    if not any(is_right):
        raise refusal()


def _digest(secret: str, signed: bytes, scheme: Scheme) -> bytes:
    return hmac.new(_key(secret, scheme), signed, sha256).digest()


def _key(secret: str, scheme: Scheme) -> bytes:
    """Return the key; Standard Webhooks write it as `whsec_` and base64."""
    if scheme is Scheme.STANDARD and secret.startswith(_KEY_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def _written(scheme: Scheme, given: str) -> list[bytes]:
    """Return the digest that the header spells; none if it spells none."""
    text = given.strip()
    try:
        if scheme is Scheme.BASE64:
            return [base64.b64decode(text, validate=True)]
        return [bytes.fromhex(text.removeprefix("sha256="))]
    except ValueError:
        return []


def _standard(given: str) -> list[bytes]:
    found = given.split(" ")[:_MOST_SIGNATURES]
    ours = (one.removeprefix(_VERSION) for one in found if one.startswith(_VERSION))
    return [digest for one in ours for digest in _written(Scheme.BASE64, one)]


def _is_id(text: str) -> bool:
    # A dot in it would let id, time and body be cut apart in another place.
    is_plain = text.isascii() and text.isprintable() and " " not in text and "." not in text
    return 0 < len(text) <= _LONGEST_ID and is_plain


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_TIMESTAMP
