"""Log-in over HTTP: in, on and out, and what ends it."""

import pytest

from tests.api.accounts import (
    KEY,
    MAKER,
    NEW,
    PASSWORD,
    ROOT,
    as_user,
    log_in,
    refresh,
    refresh_token,
)
from tests.api.world import problem_in


def test_a_client_that_knows_nothing_of_us_logs_in_works_and_follows_the_cookie(people):
    """The journey of a client of Strøm: no field, path or status of ours beyond its own."""
    config = people.get("/api/config").json_body
    assert (config["auth_required"], config["has_internal_auth"]) == (True, True)
    assert config["oidc_providers"] == []
    answer = people.post("/api/auth/login", {"email": MAKER, "password": PASSWORD})
    people.token = answer.json_body["access_token"]
    assert [task["id"] for task in people.get("/api/tasks").json_body].count("one") == 1
    path = "/api/workspaces/shop/tasks/one/execute"
    job_id = people.post(path, {"input": {}}).json_body["job_id"]
    assert people.get(f"/api/jobs/{job_id}").json_body["status"] == "pending"
    assert people.get(f"/api/jobs/{job_id}/logs").status_code == 200
    assert people.get("/api/jobs").json_body["items"][0]["job_id"] == job_id
    people.clock.tick(minutes=16)
    assert people.get(f"/api/jobs/{job_id}").status_code == 401
    renewed = refresh(people, refresh_token(answer))
    assert renewed.status_code == 200
    people.token = renewed.json_body["access_token"]
    assert people.post(f"/api/jobs/{job_id}/cancel").json_body == {"status": "cancelled"}
    row = people.get(f"/api/jobs/{job_id}").json_body
    assert (row["status"], row["source_type"], row["source_id"]) == ("cancelled", "user", MAKER)
    token = refresh_token(renewed)
    left = people.post("/api/auth/logout", Cookie=f"stroem_refresh={token}")
    assert left.json_body == {"status": "ok"}
    assert "Max-Age=0" in left.headers["Set-Cookie"]
    assert refresh(people, token).status_code == 401


def test_the_cookie_is_that_of_strom(people):
    cookie = log_in(people).headers["Set-Cookie"]
    value, _, rest = cookie.partition("; ")
    assert value.startswith("stroem_refresh=strr_")
    assert rest == "HttpOnly; SameSite=Strict; Path=/api/auth; Max-Age=2592000"
    secure = log_in(people, X_Forwarded_Proto="https").headers["Set-Cookie"]
    assert secure.endswith("; Secure")


def test_who_logged_in_is_shown(people):
    as_user(people, MAKER)
    me = people.get("/api/auth/me").json_body
    assert me.pop("user_id") == people.maker.user_id
    assert me.pop("created_at")
    assert "job:execute" in me.pop("permissions")
    assert me == {
        "name": "Maker",
        "email": MAKER,
        "is_admin": False,
        "groups": ["makers"],
        "roles": [],
        "auth_methods": ["password"],
    }
    assert people.get("/api/users").json_body["items"][0]["last_login_at"]


@pytest.mark.parametrize(
    ("email", "password"),
    [(MAKER, "wrong"), ("nobody@example.com", PASSWORD), (MAKER.upper(), "x" * 1024), ("x", "y")],
)
def test_whatever_is_wrong_with_a_log_in_is_told_in_the_same_words(people, email, password):
    body = problem_in(log_in(people, email, password), 401, "unauthenticated")
    assert body == {"detail": "the address or the password is wrong"}


def test_the_case_of_an_address_does_not_matter(people):
    assert log_in(people, f" {MAKER.upper()} ").status_code == 200


@pytest.mark.parametrize(
    "shown",
    [None, "Bearer", "Bearer ", "Bearer x", "Basic eA==", "Bearer strm_" + "0" * 32, "Bearer é"],
)
def test_nobody_gets_in_without_a_token(people, shown):
    headers = {} if shown is None else {"Authorization": shown}
    answer = people.get("/api/tasks", **headers)
    problem_in(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_without_keys_nobody_has_to_log_in_and_nobody_can(world):
    config = world.get("/api/config").json_body
    assert (config["auth_required"], config["has_internal_auth"]) == (False, False)
    assert world.get("/api/tasks").status_code == 200
    problem_in(log_in(world), 400, "invalid")
    problem_in(world.get("/api/auth/me"), 400, "invalid")
    problem_in(world.get("/api/auth/api-keys"), 400, "invalid")


def test_a_lost_answer_is_given_again_to_the_same_device_for_ten_seconds(people):
    token = refresh_token(log_in(people))
    first = refresh(people, token)
    people.clock.tick(9)
    again = refresh(people, token)
    assert refresh_token(again) == refresh_token(first) != token
    assert refresh(people, refresh_token(first)).status_code == 200


@pytest.mark.parametrize(
    ("after_s", "agent"), [(11, None), (0, "another browser")], ids=["late", "elsewhere"]
)
def test_an_old_refresh_token_ends_its_session(people, after_s, agent):
    token = refresh_token(log_in(people))
    current = refresh_token(refresh(people, token))
    people.clock.tick(after_s)
    headers = {"User_Agent": agent} if agent else {}
    assert refresh(people, token, **headers).status_code == 401
    assert refresh(people, current).status_code == 401
    kept = [entry for _, entry in people.engine.audit.day("2026-11-21", None, 50)]
    reused = [one for one in kept if one.entry.action == "refresh_token_reused"]
    assert [one.entry.actor for one in reused] == [ROOT]


def test_a_session_ends_after_thirty_days_however_often_it_was_renewed(people):
    token = refresh_token(log_in(people))
    for _ in range(3):
        people.clock.tick(days=9)
        token = refresh_token(refresh(people, token))
    people.clock.tick(days=3)
    assert refresh(people, token).status_code == 401


def test_a_refresh_token_may_come_in_the_body(people):
    token = refresh_token(log_in(people))
    answer = people.post("/api/auth/refresh", {"refresh_token": token})
    assert answer.status_code == 200
    assert people.post("/api/auth/refresh", {}).status_code == 401
    assert people.post("/api/auth/refresh", {"refresh_token": token[:-1] + "é"}).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://localhost.evil.example", 403),
    ],
)
def test_the_cookie_counts_for_our_own_pages_only(people, origin, status):
    token = refresh_token(log_in(people))
    answer = refresh(people, token, Origin=origin, Host="localhost")
    assert answer.status_code == status


def test_a_cookie_that_is_none_is_no_cookie(people):
    assert refresh(people, Cookie="stroem_refresh; =; \x00").status_code == 401


def kill(people, how):
    if how == "disabled":
        as_user(people, ROOT)
        path = f"/api/users/{people.maker.user_id}/disabled"
        assert people.put(path, {"disabled": True}).status_code == 200
    elif how == "password":
        as_user(people, MAKER)
        body = {"old_password": PASSWORD, "new_password": NEW}
        assert people.post("/api/auth/password", body).status_code == 200
    elif how == "everywhere":
        as_user(people, MAKER)
        assert people.post("/api/auth/logout-everywhere").status_code == 200
    else:
        as_user(people, ROOT)
        assert people.delete(f"/api/users/{people.maker.user_id}").status_code == 200


@pytest.mark.parametrize("how", ["disabled", "password", "everywhere", "removed"])
def test_what_was_issued_ends_within_ten_seconds(people, how):
    answer = as_user(people, MAKER)
    access, token = people.token, refresh_token(answer)
    assert people.get("/api/tasks").status_code == 200
    kill(people, how)
    people.clock.tick(10)
    people.token = access
    assert people.get("/api/tasks").status_code == 401
    assert refresh(people, token).status_code == 401


def test_what_somebody_may_do_is_read_anew_within_ten_seconds(people):
    as_user(people, MAKER)
    maker = people.token
    assert (
        people.put(f"/api/users/{people.maker.user_id}/groups", {"groups": []}).status_code == 403
    )
    as_user(people, ROOT)
    path = f"/api/users/{people.maker.user_id}/admin"
    assert people.put(path, {"is_admin": True}).status_code == 200
    people.clock.tick(10)
    people.token = maker
    assert people.put(path, {"is_admin": True}).status_code == 200


def test_no_answer_or_record_holds_a_secret(people):
    answer = log_in(people, MAKER)
    people.token = answer.json_body["access_token"]
    listed = people.get("/api/users").body + people.get("/api/auth/me").body
    stored = repr(people.engine.accounts.users()) + repr(people.engine.audit.__dict__)
    token = refresh_token(answer)
    for secret in (PASSWORD, KEY, token, people.token, "$argon2id$"):
        assert secret not in listed.decode()
        assert secret not in stored
