"""Log-in at identity providers over HTTP: away, back, in, or told why not."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlencode

import pytest

from chalicelib import settings, wiring
from chalicelib.auth.flows import Flows
from chalicelib.auth.oidc import OidcProviders
from chalicelib.store.memory_identities import MemoryIdentities
from tests.api.accounts import KEY, MAKER, ROOT, as_user
from tests.api.world import problem_in
from tests.fakes.openid import BASE_URL, CLIENT_SECRET, FakeOpenid, a_provider

AWAY = "/api/auth/oidc/demo"
BACK = f"{AWAY}/callback"


@pytest.fixture
def web(people, monkeypatch):
    """The provider `demo`, for an installation with people of its own."""
    monkeypatch.setenv("STROEM_BASE_URL", BASE_URL)
    settings.access.cache_clear()
    web = FakeOpenid(people.clock)
    providers = OidcProviders(
        {"demo": a_provider()},
        BASE_URL,
        Flows((KEY,)),
        people.clock,
        web,
        lambda text: text,
    )
    people.engine = replace(people.engine, providers=providers, identities=MemoryIdentities())
    # The gate asks the engine that it was made of.
    people.engine = wiring.guarded(people.engine, (KEY,))
    wiring.use(people.engine)
    return web


def depart(people, web, query=""):
    """Send a browser away; return its cookie, and the query that it comes back with."""
    answer = people.get(f"{AWAY}{query}")
    assert answer.status_code == 302, answer.body
    cookie = cookies_in(answer)["stroem_oidc_state"][0]
    return cookie, web.let_in(answer.headers["Location"])


def come_back(people, cookie, query):
    return people.get(f"{BACK}?{urlencode(query)}", Cookie=f"a=b; stroem_oidc_state={cookie}")


def cookies_in(answer):
    """Return the cookies that an answer sets: value and attributes by name."""
    found = {}
    for line in answer.headers.get("Set-Cookie", []):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        found[name] = (value, attributes)
    return found


def landed(answer):
    """Return what the page `/login/callback` is told."""
    assert answer.status_code == 302, answer.body
    page, _, told = answer.headers["Location"].partition("#")
    assert page == "/login/callback"
    return {name: values[0] for name, values in parse_qs(told).items()}


def test_a_browser_that_comes_back_is_logged_in(people, web):
    cookie, query = depart(people, web, "?next=/jobs%3Fstatus%3Dfailed")
    answer = come_back(people, cookie, query)
    told = landed(answer)
    assert told.keys() == {"access_token", "next"}
    assert told["next"] == "/jobs?status=failed"
    assert answer.body == b""
    people.token = told["access_token"]
    me = people.get("/api/auth/me").json_body
    assert (me["email"], me["name"], me["groups"]) == ("ada@example.org", "Ada", ["staff"])
    assert (me["auth_methods"], me["is_admin"]) == (["demo"], False)


def test_it_gets_the_cookie_that_a_password_brings(people, web):
    kept = cookies_in(come_back(people, *depart(people, web)))
    value, attributes = kept["stroem_refresh"]
    assert attributes == [
        "HttpOnly", "SameSite=Strict", "Path=/api/auth", "Max-Age=2592000", "Secure"
    ]  # fmt: skip
    people.token = None
    renewed = people.post("/api/auth/refresh", Cookie=f"stroem_refresh={value}")
    assert renewed.status_code == 200
    people.token = renewed.json_body["access_token"]
    assert people.get("/api/auth/me").json_body["email"] == "ada@example.org"


def test_the_state_is_kept_for_ten_minutes_where_no_script_reads_it(people, web):
    _, attributes = cookies_in(people.get(AWAY))["stroem_oidc_state"]
    assert attributes == [
        "HttpOnly", "SameSite=Lax", "Path=/api/auth/oidc", "Max-Age=600", "Secure"
    ]  # fmt: skip


def test_the_state_goes_however_it_ends(people, web):
    cookie, query = depart(people, web)
    for ending in (query, query, {}):
        value, attributes = cookies_in(come_back(people, cookie, ending))["stroem_oidc_state"]
        assert value == ""
        assert "Max-Age=0" in attributes


def test_an_answer_counts_once(people, web):
    cookie, query = depart(people, web)
    assert "access_token" in landed(come_back(people, cookie, query))
    again = come_back(people, cookie, query)
    assert landed(again) == {"error": "this log-in was answered before: begin again"}
    assert "stroem_refresh" not in cookies_in(again)


def test_an_answer_in_another_browser_counts_for_nothing(people, web):
    _, query = depart(people, web)
    other, _ = depart(people, web)
    assert "another log-in" in landed(come_back(people, other, query))["error"]
    assert "began no such" in landed(come_back(people, "", query))["error"]


@pytest.mark.parametrize("going_on", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_nobody_is_sent_elsewhere_afterwards(people, web, going_on):
    told = landed(come_back(people, *depart(people, web, f"?{urlencode({'next': going_on})}")))
    assert told.keys() == {"access_token"}


def test_an_unverified_address_is_told_and_adds_nobody(people, web):
    web.claims = {"email": MAKER, "email_verified": False}
    before = people.engine.accounts.users()
    answer = come_back(people, *depart(people, web))
    assert landed(answer)["error"].startswith("Demo has not verified your e-mail address")
    assert people.engine.accounts.users() == before
    assert "stroem_refresh" not in cookies_in(answer)


def test_a_verified_address_is_the_user_who_has_it(people, web):
    web.claims = {"email": MAKER.upper()}
    people.token = landed(come_back(people, *depart(people, web)))["access_token"]
    me = people.get("/api/auth/me").json_body
    assert (me["user_id"], me["groups"]) == (people.maker.user_id, ["makers"])
    assert me["auth_methods"] == ["password", "demo"]
    assert not me["is_admin"]


def test_a_disabled_user_is_told(people, web):
    web.claims = {"email": MAKER}
    as_user(people, ROOT)
    changed = replace(people.maker, disabled=True)
    people.engine.accounts.put_user(changed, people.maker)
    assert "disabled" in landed(come_back(people, *depart(people, web)))["error"]


def test_what_is_refused_says_nothing_of_tokens_and_secrets(people, web, caplog):
    cookie, query = depart(people, web)
    web.claims = {"aud": "other"}
    error = landed(come_back(people, cookie, query))["error"]
    assert error == "the provider's ID token does not hold (InvalidAudienceError)"
    for secret in (CLIENT_SECRET, query["code"], query["state"], cookie, "eyJ"):
        assert secret not in error
        assert secret not in caplog.text


def test_a_provider_that_is_down_is_told_on_our_page(people, web):
    web.down = True
    answer = people.get(AWAY)
    assert landed(answer)["error"].startswith("id.example did not answer")
    assert cookies_in(answer) == {}


def test_an_unknown_provider_is_not_found(people, web):
    for path in ("", "/callback"):
        problem_in(people.get(f"/api/auth/oidc/nobody{path}"), 404, "not-found")


def test_without_providers_there_is_nothing_to_log_in_at(people):
    problem_in(people.get(AWAY), 404, "not-found")
    assert people.get("/api/config").json_body["oidc_providers"] == []


def test_a_client_learns_which_providers_there_are(people, web):
    config = people.get("/api/config").json_body
    assert config["oidc_providers"] == [{"id": "demo", "display_name": "Demo"}]
    assert (config["auth_required"], config["has_internal_auth"]) == (True, True)


def test_too_many_departures_from_one_place_wait(people, web):
    answers = [people.get(AWAY) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [302] * 21
    assert "too many tries" in landed(answers[-1])["error"]


def test_who_came_is_in_the_audit(people, web):
    come_back(people, *depart(people, web))
    as_user(people, ROOT)
    entry = people.get("/api/audit?action=login").json_body["items"][1]
    assert (entry["actor"], entry["resource"]) == ("ada@example.org", "provider demo")
    assert entry["result"] == "success"


@pytest.mark.parametrize("configured", [True, False])
def test_the_first_of_all_is_administrator_only_where_none_is_configured(
    people, web, monkeypatch, configured
):
    if configured:
        monkeypatch.setenv("STROEM_ADMIN", f"{ROOT}:whatever-it-is")
        settings.access.cache_clear()
    for user in people.engine.accounts.users():
        people.engine.accounts.drop_user(user)
    people.token = landed(come_back(people, *depart(people, web)))["access_token"]
    assert people.get("/api/auth/me").json_body["is_admin"] is not configured
