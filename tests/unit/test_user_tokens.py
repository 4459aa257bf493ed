"""Access tokens: only what we signed, for this, now."""

import base64
import hmac
import json
from datetime import timedelta

import jwt
import pytest

from chalicelib.auth.tokens import UserTokens, _kid, _signing
from chalicelib.auth.worker_tokens import AccessTokens
from chalicelib.domain.accounts import User
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.worker_groups import ANY_WORKER
from tests.fakes.clock import NOON
from tests.fakes.house import House

OLD, NEW = "o" * 40, "n" * 40
USER = User(user_id="u", email="a@b", created_at=NOON, stamp="s", is_admin=True)
TOKENS = UserTokens((NEW, OLD))
CLAIMS = {
    "iss": "stroem",
    "aud": "api",
    "sub": "u",
    "jti": "j",
    "stamp": "s",
    "iat": int(NOON.timestamp()),
    "exp": int((NOON + timedelta(minutes=15)).timestamp()),
}


def forged(key=None, headers=None, algorithm="HS256", **changes):
    claims = {k: v for k, v in {**CLAIMS, **changes}.items() if v is not None}
    headers = {"typ": "at+jwt", "kid": _kid(NEW), **(headers or {})}
    return jwt.encode(claims, _signing(NEW) if key is None else key, algorithm, headers=headers)


def refused(token, now=NOON):
    with pytest.raises(UnauthenticatedError):
        TOKENS.read(token, now)


def test_what_was_issued_is_read_for_fifteen_minutes_and_the_leeway():
    token = TOKENS.issue(USER, NOON, "j")
    claims = TOKENS.read(token, NOON)
    assert (claims.user_id, claims.stamp) == ("u", "s")
    TOKENS.read(token, NOON + timedelta(minutes=15, seconds=29))
    refused(token, NOON + timedelta(minutes=15, seconds=30))
    TOKENS.read(token, NOON - timedelta(seconds=30))
    refused(token, NOON - timedelta(seconds=31))


def test_it_says_what_clients_show():
    token = TOKENS.issue(USER, NOON, "j")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["email"], claims["is_admin"]) == ("a@b", True)
    assert claims["exp"] - claims["iat"] == 900


def test_two_keys_are_live_while_one_takes_over_from_the_other():
    before, between, after = UserTokens((OLD,)), UserTokens((NEW, OLD)), UserTokens((NEW,))
    token = before.issue(USER, NOON, "j")
    assert between.read(token, NOON).user_id == "u"
    assert after.read(between.issue(USER, NOON, "j"), NOON).user_id == "u"
    with pytest.raises(UnauthenticatedError):
        after.read(token, NOON)


def test_the_forger_forges_well():
    assert TOKENS.read(forged(), NOON).user_id == "u"


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_a_token_without_a_claim_is_refused(claim):
    refused(forged(**{claim: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "worker"},
        {"aud": "approval"},
        {"iss": "other"},
        {"exp": "tomorrow"},
        {"exp": 1e400},
        {"exp": True},
        {"iat": [1]},
        {"exp": CLAIMS["exp"] + 0.5},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(changes):
    try:
        token = forged(**changes)
    except (TypeError, ValueError):
        token = "x.y.z"
    refused(token)


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"kid": _kid(OLD)},
        {"kid": "../../dev/null"},
        {"kid": None},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/keys"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"crit": ["exp"]},
    ],
)
def test_a_token_with_a_strange_header_is_refused(headers):
    try:
        token = forged(headers=headers)
    except jwt.PyJWTError:
        token = by_hand({"alg": "HS256", "typ": "at+jwt", "kid": _kid(NEW), **headers})
    refused(token)


def by_hand(header, claims=None):
    parts = [header, claims or CLAIMS]
    coded = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts]
    return b".".join([*coded, b""]).decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "RS256", "ES256"])
def test_a_token_of_another_algorithm_is_refused(algorithm):
    refused(by_hand({"alg": algorithm, "typ": "at+jwt", "kid": _kid(NEW)}))


def test_a_token_signed_by_our_key_with_another_algorithm_is_refused():
    body = by_hand({"alg": "HS512", "typ": "at+jwt", "kid": _kid(NEW)}).rstrip(".")
    signature = hmac.digest(_signing(NEW), body.encode(), "sha512")
    refused(f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


@pytest.mark.parametrize("key", [NEW, OLD, "x" * 40])
def test_a_token_of_another_key_is_refused(key):
    refused(forged(key=key))


def test_a_worker_s_token_is_no_user_s():
    engine = House("a").engine
    refused(AccessTokens((NEW,)).issue(engine, ANY_WORKER, "session"))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "eyJ" * 1000, "é.é.é", "\0"])
def test_what_is_no_token_is_refused(token):
    refused(token)


def test_no_key_or_hash_is_shown_in_a_repr():
    assert NEW not in repr(TOKENS)
    assert "s'" not in repr(USER)
