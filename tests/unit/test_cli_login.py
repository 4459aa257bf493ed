"""`stroem login` and what follows it, against the real app with accounts on a real port."""

import getpass
import json
import stat

import pytest

from chalicelib import settings, wiring
from chalicelib.cli import credentials, login
from chalicelib.cli.credentials import Credential, Kept
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.engine import accounts, devices
from tests.api.accounts import KEY, MAKER, PASSWORD, ROOT, add, with_accounts
from tests.fakes.command import Command
from tests.fakes.stack import a_stack

NEW = "another-apple-5"


@pytest.fixture
def stack(monkeypatch):
    monkeypatch.setenv("STROEM_TOKEN_KEYS", KEY)
    settings.access.cache_clear()
    with a_stack() as running:
        running.engine = with_accounts(running.engine)
        wiring.use(running.engine)
        add(running.engine, ROOT, is_admin=True)
        running.maker = add(running.engine, MAKER)
        yield running
    settings.access.cache_clear()


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "config" / "credentials.json"


@pytest.fixture
def stroem(monkeypatch, stack, kept):
    monkeypatch.setenv("STROEM_URL", stack.url)
    monkeypatch.setenv("STROEM_CREDENTIALS", str(kept))
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    return Command(monkeypatch)


def typed(monkeypatch, *texts):
    """Type these where a password is asked for."""
    left = list(texts)
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: left.pop(0))


def logged_in(stroem, email=MAKER):
    ran = stroem("login", "--email", email, "--password-stdin", given=f"{PASSWORD}\n")
    assert ran.code == 0, ran.err
    return ran


def test_who_has_not_logged_in_is_told_to(stroem):
    ran = stroem("jobs")
    assert (ran.code, ran.out) == (Exit.PERMISSION, "")
    assert "log in first" in ran.err


def test_a_password_opens_all_verbs_and_stands_nowhere(stroem, stack, kept):
    ran = logged_in(stroem)
    assert ran.err == f"Logged in to {stack.url} as {MAKER}.\n"
    assert stroem("jobs").code == 0
    assert "email" in stroem("whoami").out
    assert json.loads(stroem("whoami", "-o", "json").out)["email"] == MAKER
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()


def test_a_wrong_password_changes_nothing(stroem, kept):
    logged_in(stroem)
    before = kept.read_text()
    ran = stroem("login", "--email", MAKER, "--password-stdin", given="wrong\n")
    assert ran.code == Exit.PERMISSION
    assert "the address or the password is wrong" in ran.err
    assert kept.read_text() == before


def test_a_session_is_renewed_when_its_token_is_over(stroem, stack, kept):
    logged_in(stroem)
    found = json.loads(kept.read_text())
    before = dict(found[stack.url])
    found[stack.url] |= {"expires_at": 0}
    kept.write_text(json.dumps(found))
    assert stroem("jobs").code == 0
    after = json.loads(kept.read_text())[stack.url]
    assert after["refresh_token"] != before["refresh_token"]
    assert after["expires_at"] > 0


def test_a_token_that_the_server_refuses_is_renewed_once(stroem, stack, kept):
    logged_in(stroem)
    found = json.loads(kept.read_text())
    found[stack.url] |= {"token": "x"}
    kept.write_text(json.dumps(found))
    assert stroem("jobs").code == 0
    accounts.end_everywhere(stack.engine, stack.maker.user_id)
    found[stack.url] |= {"token": "x"}
    kept.write_text(json.dumps(found))
    assert stroem("jobs").code == Exit.PERMISSION


def test_a_log_out_ends_the_session_there_and_here(stroem, stack, kept):
    logged_in(stroem)
    before = json.loads(kept.read_text())[stack.url]
    assert stroem("logout").code == 0
    assert json.loads(kept.read_text()) == {}
    assert all(one.revoked for one in stack.engine.accounts.sessions(stack.maker.user_id))
    assert before["refresh_token"]
    assert "Nobody is logged in" in stroem("logout").err


def test_a_log_out_everywhere_ends_other_machines_too(stroem, stack, kept):
    logged_in(stroem)
    other = kept.read_text()
    logged_in(stroem)
    assert stroem("logout", "--everywhere").code == 0
    found = json.loads(other)
    found[stack.url] |= {"token": "x", "expires_at": 0}
    kept.write_text(json.dumps(found))
    assert stroem("jobs").code == Exit.PERMISSION


def test_a_key_is_made_kept_and_deleted(stroem, kept):
    logged_in(stroem)
    made = stroem("keys", "create", "ci", "--days", "7", "--scope", "job:read", "--only", "shop")
    key = made.out.strip()
    assert key.startswith("strm_")
    assert key[:12] in stroem("keys", "list").out
    assert key not in stroem("keys", "list", "-o", "json").out
    assert stroem("whoami", "--token", key).code == 0
    assert stroem("keys", "list", "--token", key).code == Exit.PERMISSION
    assert stroem("keys", "delete", key[:12]).code == 0
    assert stroem("keys", "delete", key[:12]).code == Exit.NOT_FOUND


def test_a_key_may_be_what_logs_in(stroem, kept):
    logged_in(stroem)
    key = stroem("keys", "create", "ci").out.strip()
    assert stroem("logout").code == 0
    assert stroem("login", "--token", "-", given=f"{key}\n").code == 0
    assert stroem("jobs").code == 0
    assert stroem("login", "--token", "strm_" + "0" * 32).code == Exit.PERMISSION
    assert key in kept.read_text()


def test_a_password_is_changed(stroem, monkeypatch):
    logged_in(stroem)
    typed(monkeypatch, PASSWORD, NEW, "something else")
    assert stroem("passwd").code == Exit.USAGE
    typed(monkeypatch, "wrong", NEW, NEW)
    assert stroem("passwd").code == Exit.PERMISSION
    typed(monkeypatch, PASSWORD, NEW, NEW)
    assert stroem("passwd").code == 0
    assert stroem("jobs").code == 0
    typed(monkeypatch, NEW)
    assert stroem("login", "--email", MAKER).code == 0


def test_users_are_added_changed_reset_and_removed(stroem, stack, monkeypatch):
    logged_in(stroem, ROOT)
    added = stroem("users", "add", "new@example.com", "--group", "makers", "--name", "New")
    typed(monkeypatch, NEW, NEW)
    assert stroem("passwd", "--reset", added.out.strip()).code == 0
    changed = stroem("users", "set", "NEW@example.com", "--groups", "a, b", "--admin")
    assert changed.code == 0, changed.err
    user = stack.engine.accounts.user_by_email("new@example.com")
    assert (user.groups, user.is_admin) == (("a", "b"), True)
    assert "new@example.com" in stroem("users", "list").out
    assert stroem("users", "set", user.user_id, "--disable", "--no-admin").code == 0
    assert stroem("users", "reset", "new@example.com").out.startswith("strp_")
    assert stroem("users", "remove", "new@example.com").code == 0
    assert stroem("users", "remove", "new@example.com").code == Exit.NOT_FOUND
    assert stroem("users", "set", ROOT).code == Exit.USAGE


def test_a_device_logs_in_when_somebody_lets_it_in(stroem, stack, monkeypatch):
    waited = []

    def let_in(seconds):
        waited.append(seconds)
        [grant] = stack.engine.accounts._grants.values()
        if len(waited) == 1:
            return
        user = stack.engine.accounts.user(stack.maker.user_id)
        devices.decide(stack.engine, grant.user_code, user, let_in=True)

    monkeypatch.setattr(login.time, "sleep", let_in)
    ran = stroem("login")
    assert ran.code == 0, ran.err
    assert "/device?user_code=" in ran.err
    assert waited == [5.0, 5.0]
    assert stroem("jobs").code == 0


def test_a_device_that_is_refused_stops_asking(stroem, stack, monkeypatch):
    def refuse(_):
        [grant] = stack.engine.accounts._grants.values()
        devices.decide(stack.engine, grant.user_code, stack.maker, let_in=False)

    monkeypatch.setattr(login.time, "sleep", refuse)
    ran = stroem("login")
    assert ran.code == Exit.PERMISSION
    assert "was not let in" in ran.err


def test_a_file_that_is_broken_says_what_to_do(stroem, kept):
    kept.parent.mkdir()
    kept.write_text("{")
    ran = stroem("jobs")
    assert ran.code == Exit.USAGE
    assert "remove it and run `stroem login` again" in ran.err


def test_what_another_command_renewed_is_taken_over(monkeypatch, kept):
    monkeypatch.setenv("STROEM_CREDENTIALS", str(kept))
    credentials.save("http://x", Credential("a", "r1", 100.0))
    asked = []
    mine = Kept("http://x", asked.append, lambda: 0.0)
    assert mine.token() == "a"
    credentials.save("http://x/", Credential("b", "r2", 100.0))
    assert mine.renew()
    assert (mine.token(), asked) == ("b", [])


def test_a_server_that_is_down_does_not_look_like_a_log_out(monkeypatch, kept):
    monkeypatch.setenv("STROEM_CREDENTIALS", str(kept))
    credentials.save("http://x", Credential("a", "r1", 0.0))

    def down(_):
        raise CommandError(Exit.SERVER, "it does not answer")

    with pytest.raises(CommandError):
        Kept("http://x", down, lambda: 1.0).token()
    assert credentials.load("http://x") is not None
