"""A stack where people log in, as `./dev up` starts it, from the outside."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.running_stack import RunningStack

EMAIL, PASSWORD = "ada@example.com", "an-apple-a-day-4"


@pytest.fixture
def guarded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    options = ("--admin", f"{EMAIL}:{PASSWORD}")
    running = RunningStack(tmp_path / "data", options=options, has_login=True).start()
    yield running
    running.stop()


def test_whoever_logs_in_runs_a_job_and_nobody_else(guarded):
    assert guarded.get("/api/jobs")[0] == 401
    assert guarded.get("/healthz")[0] == 200
    assert guarded.stroem("jobs").returncode == 4
    login = guarded.stroem("login", "--email", EMAIL, "--password-stdin", given=f"{PASSWORD}\n")
    assert login.returncode == 0, login.stderr
    ran = guarded.stroem("trigger", "release", "--wait")
    assert ran.returncode == 0, ran.stderr
    [job] = json.loads(guarded.stroem("jobs", "-o", "json").stdout)["items"]
    assert (job["source_type"], job["source_id"]) == ("user", EMAIL)
    assert "login" in guarded.stroem("audit").stdout
    key = guarded.stroem("keys", "create", "ci", "--scope", "execution:read").stdout.strip()
    assert guarded.get("/api/jobs", Authorization=f"Bearer {key}")[0] == 200
    logs = "".join(path.read_text(errors="replace") for path in (guarded.data / "logs").iterdir())
    for secret in (PASSWORD, key):
        assert secret not in guarded.said
        assert secret not in logs


def test_an_administrator_is_made_up_once_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    first = RunningStack(tmp_path / "data", options=("--workers", "0"), has_login=True)
    said = first.start().said
    assert first.stop() == 0
    made_up = re.search(r"administrator (\S+) with the password (\S+)", said)
    assert made_up, said
    email, password = made_up.groups()
    again = first.start()
    try:
        assert "with the password" not in again.said
        login = again.stroem("login", "--email", email, "--password-stdin", given=password)
        assert login.returncode == 0, login.stderr
        assert again.stroem("whoami").returncode == 0
    finally:
        again.stop()
