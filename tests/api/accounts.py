"""An installation where people log in, with cheap passwords and a few people at hand."""

from __future__ import annotations

from dataclasses import replace

from chalicelib import wiring
from chalicelib.auth.passwords import Argon2Passwords, Cost
from chalicelib.engine import accounts
from chalicelib.engine.accounts import NewUser
from chalicelib.store.memory_accounts import MemoryAccounts

KEY = "k" * 40
CHEAP = Cost(memory_kib=64)
PASSWORD = "an-apple-a-day-4"
NEW = "another-apple-5"
ROOT = "root@example.com"
MAKER = "maker@example.com"


def with_accounts(engine, *keys):
    """Return the engine with accounts and a gate."""
    engine = replace(engine, accounts=MemoryAccounts(), passwords=Argon2Passwords(CHEAP))
    return wiring.guarded(engine, keys or (KEY,))


def add(engine, email, **given):
    return accounts.add(engine, NewUser(**{"email": email, "password": PASSWORD, **given}))


def log_in(world, email=ROOT, password=PASSWORD, **headers):
    return world.post("/api/auth/login", {"email": email, "password": password}, **headers)


def as_user(world, email=ROOT):
    """Show the token of that user from now on."""
    answer = log_in(world, email)
    assert answer.status_code == 200, answer.body
    world.token = answer.json_body["access_token"]
    return answer


def refresh_token(answer):
    return answer.headers["Set-Cookie"].split(";")[0].partition("=")[2]


def refresh(world, token=None, **headers):
    if token is not None:
        headers["Cookie"] = f"stroem_refresh={token}"
    world.token = None
    return world.post("/api/auth/refresh", **headers)
