"""The way to a provider and back: what a browser takes along, and what is believed then."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from chalicelib.auth.flows import challenge_of
from chalicelib.auth.oidc import ClientSecrets
from chalicelib.domain.errors import UnauthenticatedError, UnavailableError
from chalicelib.domain.oidc import next_of
from chalicelib.engine.ports_secrets import NoSecrets
from tests.fakes.oidc_trip import Trip
from tests.fakes.openid import BASE_URL, CLIENT, CLIENT_SECRET, ISSUER, KEY


@pytest.fixture
def trip():
    return Trip()


def query_of(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_a_browser_takes_along_what_the_answer_must_fit(trip):
    departure, _ = trip.depart()
    said = query_of(departure.address)
    assert departure.address.startswith(f"{ISSUER}/auth?")
    state, nonce = said.pop("state"), said.pop("nonce")
    challenge = said.pop("code_challenge")
    assert said == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": f"{BASE_URL}/api/auth/oidc/demo/callback",
        "scope": "openid email profile",
        "code_challenge_method": "S256",
    }
    assert len({state, nonce, challenge}) == 3
    assert min(map(len, (state, nonce, challenge))) >= 43


def test_no_two_log_ins_share_anything(trip):
    seen = [query_of(trip.depart()[0].address) for _ in range(20)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({said[name] for said in seen}) == 20


def test_the_cookie_holds_no_secret(trip):
    departure, _ = trip.depart("/jobs")
    said = query_of(departure.address)
    claims = jwt.decode(departure.cookie, options={"verify_signature": False})
    assert claims.keys() == {"aud", "exp", "jti", "provider", "next"}
    flow = trip.providers.recall("demo", departure.cookie, said["state"])
    assert challenge_of(flow.verifier) == said["code_challenge"]
    for secret in (flow.verifier, flow.nonce, CLIENT_SECRET):
        assert secret not in f"{claims} {departure!r} {flow!r} {departure.cookie}"


def test_who_comes_back_is_who_the_provider_says(trip):
    identity = trip.whole()
    assert (identity.issuer, identity.subject) == (ISSUER, "subject-1")
    assert (identity.email, identity.is_verified) == ("ada@example.org", True)


@pytest.mark.parametrize("said", ["true", 1, None, False, [True]])
def test_nothing_but_true_verifies_an_address(trip, said):
    trip.web.claims = {"email_verified": said}
    assert not trip.whole().is_verified


def test_another_browser_cannot_answer(trip):
    _, query = trip.depart()
    other, _ = trip.depart()
    trip.refuses("another log-in", other, query)


@pytest.mark.parametrize("cookie", [None, "", "x", "a.b.c", "x" * 5000])
def test_a_browser_that_began_nothing_cannot_answer(trip, cookie):
    _, query = trip.depart()
    with pytest.raises(UnauthenticatedError, match="began no such log-in"):
        trip.providers.recall("demo", cookie, query["state"])


@pytest.mark.parametrize("state", [None, "", "é", "x" * 43])
def test_an_answer_without_the_state_is_refused(trip, state):
    departure, _ = trip.depart()
    with pytest.raises(UnauthenticatedError, match=r"another log-in|began no such"):
        trip.providers.recall("demo", departure.cookie, state)


@pytest.mark.parametrize(
    ("changed", "key", "typ"),
    [
        ({}, KEY, "oidc-state+jwt"),
        ({}, "z" * 40, "oidc-state+jwt"),
        ({"aud": "api"}, None, "oidc-state+jwt"),
        ({}, None, "at+jwt"),
    ],
)
def test_a_forged_cookie_is_refused(trip, changed, key, typ):
    from chalicelib.auth.flows import _signing  # noqa: PLC0415 - what only a key's owner makes

    departure, query = trip.depart()
    claims = jwt.decode(departure.cookie, options={"verify_signature": False}) | changed
    signed = jwt.encode(claims, key or _signing(KEY), "HS256", headers={"typ": typ})
    with pytest.raises(UnauthenticatedError, match="began no such"):
        trip.providers.recall("demo", signed, query["state"])


def test_a_log_in_may_take_ten_minutes(trip):
    departure, query = trip.depart()
    trip.clock.tick(599)
    assert trip.come_back(departure, query)
    departure, query = trip.depart()
    trip.clock.tick(600)
    trip.refuses("too long", departure, query)


def test_the_answer_must_come_to_the_provider_that_it_began_with(trip):
    departure, query = trip.depart()
    trip.refuses("another log-in", departure, query, provider="twin")


def test_a_log_in_outlives_a_new_key(trip):
    departure, query = trip.depart()
    trip.providers = trip.made(("n" * 40, KEY))
    assert trip.come_back(departure, query)
    trip.providers = trip.made(("n" * 40,))
    trip.refuses("began no such", departure, query)


@pytest.mark.parametrize("sender", ["https://evil.example", "", None])
def test_an_answer_of_another_provider_is_refused(trip, sender):
    departure, query = trip.depart()
    query["iss"] = sender
    query = {name: value for name, value in query.items() if value is not None}
    trip.refuses("another provider", departure, query)
    assert "/token" not in trip.web.asked


def test_a_provider_that_never_names_itself_need_not(trip):
    trip.web.described = {"authorization_response_iss_parameter_supported": None}
    departure, query = trip.depart()
    del query["iss"]
    assert trip.come_back(departure, query)
    departure, query = trip.depart()
    trip.refuses("another provider", departure, query | {"iss": "https://evil.example"})


@pytest.mark.parametrize(
    ("error", "told"), [("access_denied", "access_denied"), ("<b>no</b>", "an unknown reason")]
)
def test_a_provider_that_lets_nobody_in_says_why(trip, error, told):
    departure, query = trip.depart()
    query |= {"error": error, "error_description": "<script>"}
    trip.refuses(f"^Demo let nobody in: {told}$", departure, query)


def test_an_answer_without_a_code_is_refused(trip):
    departure, query = trip.depart()
    trip.refuses("no code", departure, {k: v for k, v in query.items() if k != "code"})
    trip.refuses("no code", departure, query | {"code": "c" * 5000})


def test_a_code_is_of_no_use_in_another_log_in(trip):
    """A stolen code, put into the thief's own log-in: its verifier does not fit."""
    _, stolen = trip.depart()
    departure, query = trip.depart()
    trip.refuses("refused", departure, query | {"code": stolen["code"]})


def test_a_token_of_another_log_in_is_refused(trip):
    departure, query = trip.depart()
    trip.web.claims = {"nonce": "another"}
    trip.refuses("another log-in", departure, query)


@pytest.mark.parametrize("ways", [["client_secret_post"], ["client_secret_basic"], None])
def test_the_client_shows_its_secret_as_the_provider_wants_it(trip, ways):
    trip.web.described = {"token_endpoint_auth_methods_supported": ways}
    assert trip.whole()


def test_a_wrong_client_secret_lets_nobody_in():
    trip = Trip(client_secret="wrong")
    trip.refuses("refused", *trip.depart())


def test_a_client_secret_that_cannot_be_read_is_not_the_visitors_business(caplog):
    trip = Trip(client_secret="ref+awsssm://stroem/.oidc/demo")
    trip.providers = trip.made(secret_of=ClientSecrets(NoSecrets()))
    with pytest.raises(UnavailableError, match="administrator") as caught:
        trip.come_back(*trip.depart())
    assert "stroem/.oidc" not in caught.value.message
    assert "client secret not read" in caplog.text


def test_a_client_secret_may_be_part_of_a_document():
    class Kept:
        def fetch(self, reference, workspace):
            return '{"client": "from afar"}'

    secret_of = ClientSecrets(Kept())
    assert secret_of("ref+awssecrets://stroem/.oidc#/client") == "from afar"
    assert secret_of("plain") == "plain"


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs?status=failed#steps", "/a//b", "/é"])
def test_a_path_of_this_site_is_gone_on_to(trip, path):
    departure, query = trip.depart(path)
    assert trip.come_back(departure, query)[0].next == next_of(path) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jobs",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        " /jobs",
        "/jobs\r\nSet-Cookie: a=b",
        "/" * 2000,
        "/" + "a" * 2000,
    ],
)
def test_nowhere_else_is_gone_on_to(trip, text):
    departure, query = trip.depart(text)
    assert trip.come_back(departure, query)[0].next is None
