"""ID tokens of a provider: which are believed, and which are not, whatever they say."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.auth import id_tokens
from chalicelib.auth.id_tokens import Expected
from chalicelib.auth.jwks import MOST_KEYS, KeySet
from chalicelib.auth.web import MAX_ANSWER_BYTES, WebAnswer
from chalicelib.domain.errors import UnauthenticatedError, UnavailableError
from tests.fakes.clock import FakeClock
from tests.fakes.openid import CLIENT, ISSUER, KINDS, FakeOpenid, as_jwk, rsa_key

PEM, SPKI = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
NONCE = "n" * 43
EXPECTED = Expected(ISSUER, CLIENT, NONCE)


def base64(raw):
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Desk:
    """A provider, the keys that we have of it, and a look at what it issues."""

    def __init__(self):
        self.clock = FakeClock()
        self.web = FakeOpenid(self.clock)
        self.keys = KeySet(lambda: f"{ISSUER}/jwks", self.web, self.clock)

    def read(self, token=None):
        token = self.web.id_token(NONCE) if token is None else token
        return id_tokens.read(token, EXPECTED, self.keys, self.clock.now())

    def refuses(self, why, token=None):
        with pytest.raises(UnauthenticatedError, match=why) as caught:
            self.read(token)
        assert "ada@example.org" not in caught.value.message
        return caught.value.message


@pytest.fixture
def desk():
    return Desk()


def test_a_good_token_says_who_came(desk):
    assert desk.read()["sub"] == "subject-1"


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_key_is_used_by_its_own_algorithm(desk, algorithm):
    desk.web.signing, desk.web.algorithm = KINDS[algorithm][0](), algorithm
    desk.web.keys = [as_jwk(desk.web.signing, algorithm)]
    assert desk.read()["sub"] == "subject-1"


def test_a_key_that_names_no_algorithm_is_used_by_the_usual_one(desk):
    desk.web.keys = [as_jwk(rsa_key(), alg=None)]
    assert desk.read()
    desk.web.algorithm = "PS256"
    desk.refuses("not signed as its key is used")


def test_a_token_without_a_signature_is_refused(desk):
    claims = desk.web.standard(NONCE)
    for name in ("none", "None", "NONE"):
        head = base64(json.dumps({"alg": name, "kid": "one"}).encode())
        desk.refuses("not signed as", f"{head}.{base64(json.dumps(claims).encode())}.")


def test_the_public_key_is_no_secret_to_sign_with(desk):
    """HS256 with the public key as its secret: the classic confusion of algorithms."""
    public = json.dumps(as_jwk(rsa_key())).encode()
    for secret in (public, rsa_key().public_key().public_bytes(PEM, SPKI), b""):
        parts = [{"alg": "HS256", "kid": "one", "typ": "JWT"}, desk.web.standard(NONCE)]
        signed = ".".join(base64(json.dumps(part).encode()) for part in parts)
        signature = base64(hmac.digest(secret, signed.encode(), "sha256"))
        desk.refuses("not signed as", f"{signed}.{signature}")


def test_another_key_under_the_same_id_is_refused(desk):
    desk.web.signing = rsa_key("two")
    desk.refuses("InvalidSignatureError")


def test_changed_claims_are_refused(desk):
    head, body, signature = desk.web.id_token(NONCE).split(".")
    desk.refuses("InvalidSignatureError", f"{head}.{base64(b'{}')}.{signature}")
    assert base64(b"{}") != body


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "crit", "zip"])
def test_a_header_that_brings_or_names_keys_is_refused(desk, name):
    brought = {
        "jwk": as_jwk(rsa_key("two"), kid="two"),
        "x5c": ["MIIB"],
        "crit": ["exp"],
    }
    desk.web.signing = rsa_key("two")
    desk.web.headers |= {name: brought.get(name, f"{ISSUER}/other-keys")}
    if name == "crit":
        desk.web.headers["exp"] = 1
    desk.refuses(f"header '{name}'|is none")
    assert desk.web.asked == []


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt", "oidc-state+jwt", "JOSE+JSON"])
def test_a_token_for_something_else_is_refused(desk, kind):
    desk.web.headers["typ"] = kind
    desk.refuses("something else")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://other.example"}, "InvalidIssuerError"),
        ({"iss": f"{ISSUER}/"}, "InvalidIssuerError"),
        ({"iss": None}, "MissingRequiredClaimError"),
        ({"aud": "other"}, "InvalidAudienceError"),
        ({"aud": ["other"]}, "InvalidAudienceError"),
        ({"aud": None}, "MissingRequiredClaimError"),
        ({"aud": [CLIENT, "other"]}, "another client"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"nonce": "m" * 43}, "another log-in"),
        ({"nonce": ""}, "another log-in"),
        ({"nonce": 7}, "another log-in"),
        ({"nonce": "\ud800"}, "another log-in"),
        ({"nonce": None}, "MissingRequiredClaimError"),
        ({"sub": ""}, "names nobody"),
        ({"sub": "s" * 256}, "names nobody"),
        ({"sub": 7}, "InvalidSubjectError"),
        ({"sub": None}, "MissingRequiredClaimError"),
        ({"exp": None}, "MissingRequiredClaimError"),
        ({"iat": None}, "MissingRequiredClaimError"),
        ({"exp": "soon"}, "tells no time"),
        ({"exp": True}, "tells no time"),
        ({"exp": 10**400}, "tells no time"),
        ({"exp": float("nan")}, "tells no time"),
        ({"nbf": "soon"}, "tells no time"),
    ],
)
def test_a_claim_that_is_not_as_it_must_be_is_refused(desk, claims, why):
    desk.web.claims = claims
    desk.refuses(why)


@pytest.mark.parametrize(
    "claims", [{"aud": [CLIENT]}, {"azp": CLIENT}, {"aud": [CLIENT, "other"], "azp": CLIENT}]
)
def test_a_token_that_is_for_us_among_others_holds(desk, claims):
    desk.web.claims = claims
    assert desk.read()


@pytest.mark.parametrize(("late_s", "holds"), [(300, True), (329, True), (330, False)])
def test_a_token_holds_thirty_seconds_longer_than_it_says(desk, late_s, holds):
    token = desk.web.id_token(NONCE)
    desk.clock.tick(late_s)
    if holds:
        assert desk.read(token)
    else:
        desk.refuses("expired", token)


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused(desk, name):
    now = int(desk.clock.now().timestamp())
    desk.web.claims = {name: now + 30}
    assert desk.read()
    desk.web.claims = {name: now + 31}
    desk.refuses("future")


def test_a_token_that_lives_long_must_still_be_fresh(desk):
    now = int(desk.clock.now().timestamp())
    desk.web.claims = {"iat": now - 631, "exp": now + 86_400}
    desk.refuses("expired")


@pytest.mark.parametrize(
    "token", ["", "a.b.c", "..", "é.é.é", "eyJhbGciOiJSUzI1NiJ9", "x" * 20_000]
)
def test_what_is_no_token_is_refused(desk, token):
    desk.refuses("is none|is too long", token)


# The keys


def test_keys_are_fetched_once_in_ten_minutes(desk):
    for _ in range(5):
        desk.read()
    assert desk.web.asked == ["/jwks"]
    desk.clock.tick(600)
    desk.read()
    assert desk.web.asked == ["/jwks"] * 2


def test_a_new_key_is_found_at_once(desk):
    desk.read()
    desk.web.keys = [as_jwk(rsa_key("two"), kid="two")]
    desk.web.signing, desk.web.headers = rsa_key("two"), {"kid": "two"}
    assert desk.read()
    assert desk.web.asked == ["/jwks"] * 2


def test_an_unknown_key_makes_us_look_once_a_minute(desk):
    desk.read()
    desk.web.headers = {"kid": "nobody's"}
    for _ in range(20):
        desk.refuses("does not publish")
    assert len(desk.web.asked) == 2
    desk.clock.tick(60)
    desk.refuses("does not publish")
    assert len(desk.web.asked) == 3


def test_many_unknown_keys_do_not_make_us_look_without_end(desk):
    desk.read()
    for number in range(100):
        desk.web.headers = {"kid": f"forged-{number}"}
        desk.refuses("does not publish")
    assert len(desk.web.asked) == 17


def test_the_last_good_keys_survive_an_outage(desk):
    desk.read()
    desk.web.down = True
    for _ in range(30):
        desk.clock.tick(600)
        assert desk.read()


@pytest.mark.parametrize(
    "answer",
    [
        WebAnswer(500, b""),
        WebAnswer(200, b"<html>"),
        WebAnswer(200, b"[]"),
        WebAnswer(200, b'{"keys": {}}'),
        WebAnswer(200, b'{"keys": []}'),
        WebAnswer(200, b"[" * MAX_ANSWER_BYTES),
    ],
)
def test_a_broken_set_of_keys_does_not_replace_a_good_one(desk, answer):
    desk.read()
    desk.web.bodies["/jwks"] = answer
    desk.clock.tick(600)
    assert desk.read()
    assert len(desk.web.asked) == 2
    # And nothing but a minute makes us ask again.
    desk.read()
    assert len(desk.web.asked) == 2
    del desk.web.bodies["/jwks"]
    desk.web.keys = [as_jwk(rsa_key("two"))]
    desk.clock.tick(60)
    desk.refuses("InvalidSignatureError")


def test_without_any_good_keys_nobody_comes_in(desk):
    desk.web.down = True
    with pytest.raises(UnavailableError):
        desk.read()
    desk.web.down = False
    assert desk.read()


@pytest.mark.parametrize(
    "given",
    [
        {"use": "enc"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "ES256"},
        {"alg": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]},
        {"n": "!!"},
        {"kid": 7},
    ],
)
def test_a_key_that_is_not_one_to_check_with_is_left_out(desk, given):
    desk.web.keys = [as_jwk(rsa_key()) | given, as_jwk(rsa_key("two"), kid="two"), None, "x"]
    desk.refuses("does not publish")


def test_a_provider_that_publishes_its_private_key_is_not_believed(desk):
    private = KINDS["RS256"][1].to_jwk(rsa_key(), as_dict=True)
    desk.web.keys = [private | {"kid": "one"}, as_jwk(rsa_key("two"), kid="two")]
    desk.refuses("does not publish")


def test_a_token_that_names_no_key_holds_where_there_is_one_only(desk):
    desk.web.headers = {}
    assert desk.read()
    desk.web.keys.append(as_jwk(rsa_key("two"), kid="two"))
    desk.clock.tick(600)
    desk.refuses("does not publish")


def test_too_many_keys_are_none(desk):
    desk.web.keys = [as_jwk(rsa_key(), kid=f"k{n}") for n in range(MOST_KEYS + 1)]
    with pytest.raises(UnavailableError, match="no set of keys"):
        desk.read()
