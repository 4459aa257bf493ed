"""Passwords over HTTP: changed, reset, and that of the first administrator."""

from dataclasses import replace

import pytest

from chalicelib import settings, wiring
from chalicelib.auth.passwords import Argon2Passwords, Cost
from tests.api.accounts import MAKER, NEW, PASSWORD, ROOT, as_user, log_in, refresh, refresh_token


def test_who_changes_the_password_goes_on_with_a_new_session(people):
    as_user(people, MAKER)
    body = {"old_password": PASSWORD, "new_password": NEW}
    answer = people.post("/api/auth/password", body)
    people.token = answer.json_body["access_token"]
    assert people.get("/api/auth/me").status_code == 200
    assert refresh(people, refresh_token(answer)).status_code == 200
    assert log_in(people, MAKER).status_code == 401
    assert log_in(people, MAKER, NEW).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("wrong-password", NEW, 401),
        (PASSWORD, "short", 400),
        (PASSWORD, "x" * 129, 400),
        (PASSWORD, "Password1234", 400),
        (PASSWORD, "aaaaaaaaaaaaaaab", 400),
        (PASSWORD, MAKER, 400),
    ],
)
def test_a_bad_password_is_refused_and_changes_nothing(people, old, new, status):
    as_user(people, MAKER)
    answer = people.post("/api/auth/password", {"old_password": old, "new_password": new})
    assert answer.status_code == status
    assert new not in answer.body.decode()
    assert log_in(people, MAKER).status_code == 200


def test_a_reset_token_works_once_and_within_a_day(people):
    as_user(people, ROOT)
    path = f"/api/users/{people.maker.user_id}/reset"
    late = people.post(path).json_body["token"]
    token = people.post(path).json_body["token"]
    people.token = None
    assert people.post("/api/auth/reset", {"token": late, "new_password": NEW}).status_code == 401
    assert people.post("/api/auth/reset", {"token": token, "new_password": NEW}).status_code == 200
    assert people.post("/api/auth/reset", {"token": token, "new_password": NEW}).status_code == 401
    assert log_in(people, MAKER, NEW).status_code == 200
    as_user(people, ROOT)
    token = people.post(path).json_body["token"]
    people.clock.tick(hours=24)
    assert people.post("/api/auth/reset", {"token": token, "new_password": NEW}).status_code == 401


def test_a_hash_of_an_older_cost_is_made_anew_at_the_log_in(people):
    before = people.engine.accounts.user(people.maker.user_id).password_hash
    dearer = replace(people.engine, passwords=Argon2Passwords(Cost(memory_kib=128)))
    wiring.use(dearer)
    assert log_in(people, MAKER).status_code == 200
    after = people.engine.accounts.user(people.maker.user_id).password_hash
    assert "m=64," in before
    assert "m=128," in after
    assert log_in(people, MAKER).status_code == 200


@pytest.fixture
def empty(people):
    for user in people.engine.accounts.users():
        people.engine.accounts.drop_user(user)
    return people


def configured(monkeypatch, text):
    monkeypatch.setenv("STROEM_ADMIN", text)
    settings.access.cache_clear()


def test_the_first_administrator_is_the_one_of_the_settings(empty, monkeypatch):
    configured(monkeypatch, "First@Example.com:short:er")
    assert log_in(empty, "first@example.com", "wrong").status_code == 401
    assert log_in(empty, "first@example.com", "short:er").status_code == 200
    [user] = empty.engine.accounts.users()
    assert (user.email, user.is_admin) == ("first@example.com", True)


def test_once_there_is_a_user_the_settings_make_no_other(people, monkeypatch):
    configured(monkeypatch, "first@example.com:short")
    assert log_in(people, "first@example.com", "short").status_code == 401
    assert len(people.engine.accounts.users()) == 2
