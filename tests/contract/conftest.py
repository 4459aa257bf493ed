"""The places that every suite here runs in. A new adapter joins by a parameter, not by a test."""

import os

import pytest
from moto import mock_aws

from chalicelib.store import dynamo
from chalicelib.store.connections_table import ConnectionsTable
from chalicelib.store.jobs_table import JobsTable
from chalicelib.store.memory_connections import MemoryConnections
from chalicelib.store.memory_jobs import MemoryJobs
from tests.contract.controls import an_engine, over_http, registered
from tests.contract.places import REGION, Place
from tests.fakes.clock import FakeClock
from workers.control_direct import DirectControl

EMULATOR = pytest.param("emulator", marks=pytest.mark.emulator)


@pytest.fixture(params=["memory", "moto", EMULATOR])
def place(request, monkeypatch):
    yield from _opened(request.param, monkeypatch)


@pytest.fixture(params=["moto", EMULATOR])
def remote(request, monkeypatch):
    """The places that a request travels to, so that it can get lost on the way."""
    yield from _opened(request.param, monkeypatch)


@pytest.fixture
def dynamodb(remote):
    """The client that the adapters use."""
    return dynamo.connection(REGION, remote.host).client


@pytest.fixture
def moto(monkeypatch):
    """The place for looking at the items themselves."""
    yield from _opened("moto", monkeypatch)


@pytest.fixture(params=[EMULATOR])
def emulator(request, monkeypatch):
    """The only place that stands many threads at once."""
    yield from _opened(request.param, monkeypatch)


@pytest.fixture
def jobs(place):
    if place.is_memory:
        return MemoryJobs()
    return JobsTable(place.table("JobsTable"), REGION, place.host)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def connections(place, clock):
    if place.is_memory:
        return MemoryConnections(clock.now)
    return ConnectionsTable(place.table("ConnectionsTable"), REGION, clock, place.host)


@pytest.fixture
def connections_table(remote, clock):
    return ConnectionsTable(remote.table("ConnectionsTable"), REGION, clock, remote.host)


@pytest.fixture
def engine():
    with an_engine() as engine:
        yield engine


@pytest.fixture(params=["direct", "http"])
def connect(request, engine, monkeypatch):
    """How a worker of a name gets to the engine: registered."""
    if request.param == "direct":
        yield lambda name="anna": registered(DirectControl(engine), name)
        return
    with over_http(monkeypatch) as connected:
        yield connected


@pytest.fixture
def control(connect):
    return connect()


def _opened(kind, monkeypatch):
    url = os.environ.get("EMULATOR_URL")
    if kind == "emulator" and not url:
        pytest.skip("EMULATOR_URL is not set: `./dev test` starts the emulator and sets it")
    _dummy_credentials(monkeypatch)
    if kind == "memory":
        yield Place(kind)
        return
    if kind == "moto":
        with mock_aws():
            yield Place(kind)
        return
    here = Place(kind, url)
    try:
        yield here
    finally:
        here.clear()


def _dummy_credentials(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
