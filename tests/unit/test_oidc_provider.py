"""What a provider says of itself and of who logs in, and what is believed of it."""

from __future__ import annotations

import pytest

from chalicelib.auth.web import WebAnswer
from chalicelib.domain.errors import NotFoundError, UnavailableError
from tests.fakes.oidc_trip import Trip
from tests.fakes.openid import ISSUER, as_jwk, rsa_key


@pytest.fixture
def trip():
    return Trip()


def test_an_address_may_stand_in_the_userinfo(trip):
    trip.web.claims = {"email": None, "email_verified": None}
    trip.web.info = {"sub": "subject-1", "email": "ada@example.org", "email_verified": True}
    identity = trip.whole()
    assert (identity.email, identity.is_verified) == ("ada@example.org", True)


def test_userinfo_of_somebody_else_is_refused(trip):
    trip.web.claims = {"email": None}
    trip.web.info = {"sub": "subject-2", "email": "root@example.org", "email_verified": True}
    trip.refuses("somebody else", *trip.depart())


def test_userinfo_changes_nothing_that_was_signed(trip):
    trip.web.claims = {"email": None, "email_verified": None}
    trip.web.info = {"sub": "subject-1", "iss": "https://evil.example", "email": "a@b.example"}
    assert trip.whole().issuer == ISSUER


def test_a_verified_address_of_the_userinfo_does_not_verify_another(trip):
    """The token says an address and nothing of it; then nobody asks elsewhere."""
    trip.web.claims = {"email": "root@example.org", "email_verified": None}
    trip.web.info = {"sub": "subject-1", "email": "ada@example.org", "email_verified": True}
    assert not trip.whole().is_verified


def test_without_userinfo_there_is_no_address(trip):
    trip.web.claims = {"email": None}
    trip.web.described = {"userinfo_endpoint": None}
    assert trip.whole().email is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"issuer": f"{ISSUER}/"}, "slash and all"),
        ({"issuer": "https://evil.example"}, "not of"),
        ({"issuer": None}, "not of"),
        ({"token_endpoint": "http://id.example/token"}, "token_endpoint"),
        ({"token_endpoint": "https://127.0.0.1/token"}, "token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"jwks_uri": "http://127.0.0.1/jwks"}, "jwks_uri"),
        ({"jwks_uri": "https://u:p@id.example/jwks"}, "jwks_uri"),
        ({"jwks_uri": 7}, "jwks_uri"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"userinfo_endpoint": "http://169.254.169.254/"}, "userinfo_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"authorization_endpoint": "https://id.example/a\r\nb"}, "authorization_endpoint"),
        ({"authorization_endpoint": "https://[bad/a"}, "authorization_endpoint"),
    ],
)
def test_a_description_that_leads_elsewhere_is_refused(trip, said, why):
    trip.web.described = said
    with pytest.raises(UnavailableError, match=why):
        trip.providers.depart("demo", None)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 60_000])
def test_a_description_that_is_none_is_refused(trip, body):
    trip.web.bodies["/.well-known/openid-configuration"] = WebAnswer(200, body)
    with pytest.raises(UnavailableError, match="no JSON object"):
        trip.providers.depart("demo", None)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_description_that_is_not_there_is_told(trip, status):
    trip.web.bodies["/.well-known/openid-configuration"] = WebAnswer(status, b"{}")
    with pytest.raises(UnavailableError, match=f"answered {status}"):
        trip.providers.depart("demo", None)


def test_a_description_and_keys_survive_an_outage(trip):
    trip.whole()
    departure, query = trip.depart()
    described = "/.well-known/openid-configuration"
    for path in (described, "/jwks"):
        trip.web.bodies[path] = WebAnswer(503, b"")
    trip.clock.tick(599)
    assert trip.come_back(departure, query)
    for _ in range(5):
        trip.clock.tick(600)
        assert trip.whole()
    assert trip.web.asked.count(described) == trip.web.asked.count("/jwks") == 6


@pytest.mark.parametrize(("status", "error"), [(503, UnavailableError), (429, UnavailableError)])
def test_a_token_endpoint_that_is_down_is_told(trip, status, error):
    trip.web.bodies["/token"] = WebAnswer(status, b"")
    with pytest.raises(error, match="try again"):
        trip.whole()


@pytest.mark.parametrize("body", [b"{}", b'{"id_token": 7}'])
def test_a_token_endpoint_must_give_an_id_token(trip, body):
    trip.web.bodies["/token"] = WebAnswer(200, body)
    trip.refuses("no ID token", *trip.depart())


def test_keys_in_the_token_are_never_fetched(trip):
    trip.web.headers |= {"jku": f"{ISSUER}/mine", "jwk": as_jwk(rsa_key("two"))}
    trip.web.signing = rsa_key("two")
    trip.refuses("is not looked at", *trip.depart())
    assert set(trip.web.asked) == {"/.well-known/openid-configuration", "/token"}


def test_an_unknown_provider_is_none(trip):
    for ask in (
        lambda: trip.providers.depart("nobody", None),
        lambda: trip.providers.recall("nobody", "c", "s"),
    ):
        with pytest.raises(NotFoundError):
            ask()
