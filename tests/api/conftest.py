"""The real app over an engine in memory."""

from __future__ import annotations

import pytest
from chalice.test import Client

import app as application
from chalicelib import settings, wiring
from tests.api.world import World, an_engine
from tests.fakes.clock import FakeClock


@pytest.fixture
def bare(monkeypatch):
    """An installation without a workspace; its worker routes are open."""
    for name in ("STROEM_WORKER_TOKEN", "STROEM_CURSOR_KEY"):
        monkeypatch.delenv(name, raising=False)
    settings.access.cache_clear()
    clock = FakeClock()
    engine = an_engine(clock)
    wiring.use(engine)
    with Client(application.app) as client:
        yield World(engine, clock, client)
    wiring.use(None)
    settings.access.cache_clear()


@pytest.fixture
def world(bare):
    """An installation with the workspace `shop`."""
    assert bare.publish().ok
    return bare


@pytest.fixture
def guarded(world, monkeypatch):
    """The same with a worker token, which the client does not show by itself."""
    monkeypatch.setenv("STROEM_WORKER_TOKEN", "w" * 40)
    settings.access.cache_clear()
    return world
