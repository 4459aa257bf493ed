"""The real app over an engine in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chalice.test import Client

import app as application
from chalicelib import settings, wiring
from tests.api.accounts import KEY, MAKER, ROOT, add, with_accounts
from tests.api.sources import TOKEN, Vault
from tests.api.world import LIVE, World, an_engine
from tests.fakes.clock import FakeClock
from tests.fakes.git_server import Repository, serving


@pytest.fixture
def bare(monkeypatch):
    """An installation without a workspace; its worker routes are open."""
    for name in ("STROEM_WORKER_TOKEN", "STROEM_CURSOR_KEY", "STROEM_TOKEN_KEYS", "STROEM_ADMIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STROEM_WEBSOCKET_URL", LIVE)
    settings.access.cache_clear()
    settings.edge_settings.cache_clear()
    clock = FakeClock()
    engine = an_engine(clock)
    wiring.use(engine)
    with Client(application.app) as client:
        yield World(engine, clock, client)
    wiring.use(None)
    settings.access.cache_clear()
    settings.edge_settings.cache_clear()


@pytest.fixture
def world(bare):
    """An installation with the workspace `shop`."""
    assert bare.publish().ok
    return bare


@pytest.fixture
def people(world, monkeypatch):
    """The same behind a door, with an administrator and a user."""
    monkeypatch.setenv("STROEM_TOKEN_KEYS", KEY)
    settings.access.cache_clear()
    world.engine = with_accounts(world.engine)
    wiring.use(world.engine)
    world.root = add(world.engine, ROOT, is_admin=True)
    world.maker = add(world.engine, MAKER, name="Maker", groups=("makers",))
    return world


@pytest.fixture
def guarded(world, monkeypatch):
    """The same with a worker token, which the client does not show by itself."""
    monkeypatch.setenv("STROEM_WORKER_TOKEN", "w" * 40)
    settings.access.cache_clear()
    return world


@pytest.fixture
def git(world):
    """The world with a vault, and a repository behind a token."""
    world.engine = replace(world.engine, secrets=Vault())
    wiring.use(world.engine)
    world.repository = Repository()
    with serving(world.repository, TOKEN) as server:
        world.server = server
        world.source = {
            "kind": "git",
            "url": server.url,
            "token": "ref+awsssm:///git/token",
            "hook_secret": "ref+awsssm:///git/hook",
        }
        yield world
