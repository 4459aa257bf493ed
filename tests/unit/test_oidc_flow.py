"""The way to a provider and back: what a browser takes along, and what is believed then."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from chalicelib.auth.flows import Flows, challenge_of
from chalicelib.auth.oidc import ClientSecrets, OidcProviders
from chalicelib.auth.web import WebAnswer
from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.domain.oidc import next_of, providers_of
from chalicelib.engine.ports_secrets import NoSecrets
from tests.fakes.clock import FakeClock
from tests.fakes.openid import (
    BASE_URL,
    CLIENT,
    CLIENT_SECRET,
    ISSUER,
    KEY,
    FakeOpenid,
    a_provider,
    as_jwk,
    rsa_key,
)


class Trip:
    """Providers as they are configured, and a browser that goes there and comes back."""

    def __init__(self, keys=(KEY,), **given):
        self.clock = FakeClock()
        self.web = FakeOpenid(self.clock)
        self.listed = {"demo": a_provider(**given), "twin": a_provider(provider_id="twin")}
        self.providers = self.made(keys)

    def made(self, keys=(KEY,), secret_of=lambda text: text):
        return OidcProviders(self.listed, BASE_URL, Flows(keys), self.clock, self.web, secret_of)

    def depart(self, going_on=None):
        departure = self.providers.depart("demo", going_on)
        return departure, self.web.let_in(departure.address)

    def come_back(self, departure, query, provider="demo"):
        flow = self.providers.recall(provider, departure.cookie, query.get("state"))
        return flow, self.providers.identify(flow, query)

    def whole(self):
        return self.come_back(*self.depart())[1]

    def refuses(self, why, departure, query, provider="demo"):
        with pytest.raises(UnauthenticatedError, match=why):
            self.come_back(departure, query, provider)


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


# What stands beside the ID token


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


# What the provider says of itself


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


# Where to go on to


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


# The configuration


def spelled(**given):
    return {"demo": {"issuer_url": ISSUER, "client_id": CLIENT} | given}


def test_a_provider_needs_an_issuer_and_a_client():
    found = providers_of(spelled())["demo"]
    assert (found.display_name, found.client_secret, found.default_groups) == ("demo", None, ())
    assert providers_of({}) == {}


def test_all_that_may_be_said_of_a_provider_is_read():
    given = {
        "display_name": "Demo",
        "client_secret": "s",
        "default_groups": ["b", "a"],
        "email_domains": ["Example.ORG"],
    }
    found = providers_of(spelled(**given))["demo"]
    assert found.default_groups == ("a", "b")
    assert found.email_domains == {"example.org"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "an object of providers"),
        ({"Demo!": {}}, "an id has"),
        ({"demo": "x"}, "demo: write an object"),
        ({"demo": {}}, "demo: issuer_url is missing"),
        (spelled(client_id=None), "client_id is missing"),
        (spelled(client_id=7), "client_id must be text"),
        (spelled(client_id=""), "client_id must be text"),
        (spelled(scopes=["openid"]), "has 'scopes'"),
        (spelled(issuer_url="http://id.example"), "must begin with https"),
        (spelled(issuer_url="https://id.example?x=1"), "must begin with https"),
        (spelled(issuer_url="https://u:p@id.example"), "must begin with https"),
        (spelled(default_groups="staff"), "default_groups must be a list"),
        (spelled(default_groups=[7]), "default_groups must be a list"),
        (spelled(default_groups=[""]), "default_groups"),
        (spelled(email_domains=["@example.org"]), "no domain"),
        (spelled(client_secret="ref+env://X"), "may refer to awssecrets, awsssm, s3 only"),
        (spelled(client_secret="ref+nothing"), "reference"),
    ],
)
def test_a_provider_that_is_spelled_wrongly_is_refused(value, why):
    with pytest.raises(InvalidError, match=why):
        providers_of(value)


def test_no_error_shows_a_client_secret():
    with pytest.raises(InvalidError) as caught:
        providers_of(spelled(client_secret="hunter2", scope="x"))
    assert "hunter2" not in caught.value.message
    assert "hunter2" not in repr(a_provider(client_secret="hunter2"))
