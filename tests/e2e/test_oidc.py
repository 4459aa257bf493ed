"""Log-in at a real OpenID provider, on a real stack, with a real browser and without one."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.dev import node
from tests.e2e.openid import CLIENT_SECRET, FOLDER, OpenidProvider, Person, with_a_browser
from tests.e2e.running_stack import RunningStack

ADMIN = "ada@example.org"


@pytest.fixture(scope="module")
def guarded_stack(tmp_path_factory):
    """A stack with two providers: what one tells in the ID token, the other tells beside it."""
    node.install(FOLDER)
    data = tmp_path_factory.mktemp("oidc") / "data"
    running = RunningStack(
        data,
        options=("--workers", "0", "--admin", f"{ADMIN}:a-long-passphrase-7"),
        has_login=True,
    )
    running.providers = {
        "token": OpenidProvider(running.url, "token").start(),
        "beside": OpenidProvider(running.url, "beside", claims_in_userinfo=True).start(),
    }
    said = {name: provider.configured for name, provider in running.providers.items()}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STROEM_OIDC", json.dumps(said))
        running.start()
    try:
        assert running.process.poll() is None, running.said
        yield running
        log = (running.data / "logs" / "frontdoor.log").read_text()
        for secret in (CLIENT_SECRET, "code=", "access_token="):
            assert secret not in log
    finally:
        for provider in running.providers.values():
            provider.stop()
        assert running.stop() == 0, running.said


def away(stack, provider="token", going_on=""):
    return f"{stack.url}/api/auth/oidc/{provider}{going_on}"


def told(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).fragment).items()}


def me(stack, token):
    status, body = stack.get("/api/auth/me", Authorization=f"Bearer {token}")
    assert status == 200, body
    return json.loads(body)


def test_a_client_is_told_of_the_providers(guarded_stack):
    config = json.loads(guarded_stack.get("/api/config")[1])
    assert config["auth_required"]
    assert config["oidc_providers"] == [
        {"id": "token", "display_name": "Real token"},
        {"id": "beside", "display_name": "Real beside"},
    ]


def test_somebody_logs_in_with_a_browser(guarded_stack):
    seen = with_a_browser(away(guarded_stack, going_on="?next=/jobs%3Fstatus%3Dfailed"), "bob")
    landed = told(seen["url"])
    assert landed.keys() == {"access_token", "next"}
    assert landed["next"] == "/jobs?status=failed"
    who = me(guarded_stack, landed["access_token"])
    assert (who["email"], who["groups"], who["is_admin"]) == ("bob@example.org", ["staff"], False)
    # No page that was shown on the way had a token or a code of ours in its address.
    assert not [url for url in seen["visited"][:-1] if "token=" in url]
    kept = {cookie["name"]: cookie for cookie in seen["cookies"]}
    assert "stroem_oidc_state" not in kept
    refresh = kept["stroem_refresh"]
    assert (refresh["httpOnly"], refresh["sameSite"], refresh["path"]) == (
        True,
        "Strict",
        "/api/auth",
    )
    assert seen["readable"] == ""
    # A page of this site gets on with the cookie alone.
    assert seen["renewed"]["status"] == 200
    assert me(guarded_stack, seen["renewed"]["body"]["access_token"]) == who


def test_somebody_gives_up_in_a_browser(guarded_stack):
    seen = with_a_browser(away(guarded_stack), "bob", "abort")
    assert told(seen["url"]) == {"error": "Real token let nobody in: access_denied"}
    assert not {cookie["name"] for cookie in seen["cookies"]} & {
        "stroem_refresh",
        "stroem_oidc_state",
    }
    assert seen["renewed"]["status"] == 401


@pytest.mark.parametrize("provider", ["token", "beside"])
def test_somebody_comes_twice_and_is_the_same(guarded_stack, provider):
    came = [
        me(
            guarded_stack,
            told(Person().log_in(away(guarded_stack, provider), "bob"))["access_token"],
        )
        for _ in range(2)
    ]
    assert came[0]["user_id"] == came[1]["user_id"]
    assert provider in came[0]["auth_methods"]


def test_a_verified_address_is_the_user_who_has_it(guarded_stack):
    token = told(Person().log_in(away(guarded_stack), "ada"))["access_token"]
    who = me(guarded_stack, token)
    assert (who["email"], who["is_admin"]) == (ADMIN, True)
    assert who["auth_methods"] == ["password", "token"]


@pytest.mark.parametrize("provider", ["token", "beside"])
def test_an_unverified_address_lets_nobody_in(guarded_stack, provider):
    eve = Person()
    landed = told(eve.log_in(away(guarded_stack, provider), "eve"))
    assert landed.keys() == {"error"}
    assert "has not verified" in landed["error"]
    assert "stroem_refresh" not in eve.cookies()


def test_an_answer_counts_once_and_in_one_browser(guarded_stack):
    bob = Person()
    bob.log_in(away(guarded_stack), "bob")
    answer = next(url for url in bob.visited if "/callback?" in url)
    eve = Person()
    for who in (bob, eve):
        _, headers, _ = who.ask(answer)
        assert told(headers["Location"]) == {
            "error": "this browser began no such log-in: begin again"
        }
    assert "stroem_refresh" not in eve.cookies()


def test_a_cookie_that_was_copied_does_not_answer_again(guarded_stack):
    bob = Person()
    _, headers, _ = bob.ask(away(guarded_stack))
    copied = {cookie.name: cookie for cookie in bob.jar}["stroem_oidc_state"]
    bob.log_in(headers["Location"], "bob")
    answer = next(url for url in bob.visited if "/callback?" in url)
    eve = Person()
    eve.jar.set_cookie(copied)
    _, headers, _ = eve.ask(answer)
    assert told(headers["Location"]) == {"error": "this log-in was answered before: begin again"}


def test_a_log_in_goes_on_with_a_new_signing_key(guarded_stack):
    assert "access_token" in told(Person().log_in(away(guarded_stack, "beside"), "bob"))
    guarded_stack.providers["beside"].rotate()
    assert "access_token" in told(Person().log_in(away(guarded_stack, "beside"), "bob"))


def test_a_provider_that_is_gone_is_told_and_found_again(guarded_stack):
    provider = guarded_stack.providers["beside"]
    bob = Person()
    _, headers, _ = bob.ask(away(guarded_stack, "beside"))
    state = parse_qs(urlsplit(headers["Location"]).query)["state"][0]
    provider.stop()
    try:
        back = (
            f"{away(guarded_stack, 'beside')}/callback?code=c&state={state}&iss={provider.issuer}"
        )
        _, headers, _ = bob.ask(back)
        assert "did not answer" in told(headers["Location"])["error"]
    finally:
        provider.start()
    assert "access_token" in told(Person().log_in(away(guarded_stack, "beside"), "bob"))
