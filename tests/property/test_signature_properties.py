"""Signatures: what is signed is taken, and nothing else is, not even by a byte."""

import base64
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.signatures import WINDOW_S, HmacRule, Scheme, sign, verify
from chalicelib.wiring import SystemClock

NOW = 1_800_000_000
LETTERS = st.characters(codec="ascii", categories=("L", "N"), include_characters="_-")
IDS = st.text(LETTERS, min_size=1, max_size=64)
BODIES = st.binary(max_size=300)
KEYS = st.binary(min_size=24, max_size=64)
SECRETS = st.text(min_size=1, max_size=40) | KEYS.map(
    lambda key: "whsec_" + base64.b64encode(key).decode()
)
PLAIN = st.sampled_from([Scheme.GITHUB, Scheme.HEX, Scheme.BASE64])


def headers(delivery, at, signature):
    return {"webhook-id": delivery, "webhook-timestamp": str(at), "webhook-signature": signature}


def plain(scheme, secret, body):
    digest = hmac.digest(secret.encode(), body, "sha256")
    match scheme:
        case Scheme.BASE64:
            return base64.b64encode(digest).decode()
        case Scheme.GITHUB:
            return f"sha256={digest.hex()}"
        case _:
            return digest.hex().upper()


def is_taken(rule, secrets, given_headers, body, now=NOW):
    try:
        verify(rule, secrets, given_headers, body, now)
    except UnauthenticatedError:
        return False
    return True


@given(IDS, BODIES, SECRETS, st.integers(-WINDOW_S, WINDOW_S))
def test_what_we_sign_we_take(delivery, body, secret, off):
    at = NOW + off
    signed = headers(delivery, at, sign([secret], delivery, at, body))
    assert verify(HmacRule(), [secret], signed, body, NOW).delivery_id == delivery


@given(IDS, BODIES, SECRETS, SECRETS, st.booleans())
def test_during_rotation_either_side_may_know_both_secrets(delivery, body, old, new, ours):
    both = sign([new, old], delivery, NOW, body)
    one = sign([old], delivery, NOW, body)
    assert is_taken(HmacRule(), [old], headers(delivery, NOW, both), body)
    assert is_taken(HmacRule(), [new], headers(delivery, NOW, both), body)
    assert is_taken(HmacRule(), [new, old], headers(delivery, NOW, one), body)


@given(IDS, BODIES, SECRETS, SECRETS)
def test_another_secret_signs_nothing(delivery, body, secret, other):
    signed = headers(delivery, NOW, sign([other], delivery, NOW, body))
    # HMAC pads a short key with zeros, so such keys are one and the same.
    assume(secret.rstrip("\0") != other.rstrip("\0"))
    assume(not (secret.startswith("whsec_") or other.startswith("whsec_")) or secret != other)
    assert not is_taken(HmacRule(), [secret], signed, body)


@given(IDS, BODIES, SECRETS, st.data())
def test_no_change_of_id_time_or_body_is_taken(delivery, body, secret, data):
    signature = sign([secret], delivery, NOW, body)
    changed = data.draw(st.tuples(IDS, st.integers(NOW - 9, NOW + 9), BODIES))
    assume(changed != (delivery, NOW, body))
    other_id, other_at, other_body = changed
    assert not is_taken(HmacRule(), [secret], headers(other_id, other_at, signature), other_body)


@given(st.text(max_size=20), st.text(max_size=14), st.text(max_size=80), BODIES)
def test_whatever_the_headers_hold_it_is_refused_and_nothing_breaks(delivery, at, signature, body):
    given_headers = headers(delivery, at, signature)
    for scheme in Scheme:
        rule = HmacRule(scheme=scheme, header="webhook-signature")
        assert not is_taken(rule, ["s3cr3t"], given_headers, body)


@pytest.mark.parametrize("delivery", ["a.1", ".", "", "a b", "a\n", "ø", "a" * 256])
def test_an_id_that_could_be_cut_in_another_place_is_refused(delivery):
    signed = headers(delivery, NOW, sign(["s"], delivery, NOW, b"x"))
    assert not is_taken(HmacRule(), ["s"], signed, b"x")


@pytest.mark.parametrize("off", [-WINDOW_S - 1, WINDOW_S + 1])
def test_outside_of_the_window_nothing_is_taken(off):
    signed = headers("a", NOW + off, sign(["s"], "a", NOW + off, b"x"))
    assert not is_taken(HmacRule(), ["s"], signed, b"x")


@given(PLAIN, st.text(min_size=1), BODIES)
def test_plain_signatures_are_taken_for_their_own_body_only(scheme, secret, body):
    rule = HmacRule(scheme=scheme, header="X-Proof")
    good = {"x-proof": plain(scheme, secret, body)}
    assert is_taken(rule, ["other", secret], good, body)
    assert not is_taken(rule, ["other" + secret], good, body)
    assert not is_taken(rule, [secret], good, body + b"!")
    assert not is_taken(rule, [], good, body)
    assert not is_taken(rule, [""], {"x-proof": plain(scheme, "", body)}, body)


@given(IDS, st.text().map(str.encode), KEYS)
def test_the_reference_library_takes_what_we_sign_and_signs_what_we_take(delivery, body, key):
    secret = "whsec_" + base64.b64encode(key).decode()
    library = Webhook(secret)
    at = int(SystemClock().now().timestamp())
    theirs = library.sign(delivery, datetime.fromtimestamp(at, UTC), body.decode())
    assert theirs == sign([secret], delivery, at, body)
    assert is_taken(HmacRule(), [secret], headers(delivery, at, theirs), body, now=at)
    document = b'{"a": 1}'
    signed = headers(delivery, at, sign([secret], delivery, at, document))
    assert library.verify(document, signed) == {"a": 1}
