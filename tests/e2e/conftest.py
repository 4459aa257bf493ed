"""Stacks for the journeys: one for all of them, and one that a test may break."""

from __future__ import annotations

import pytest

from tests.e2e.running_stack import RunningStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """One stack for all journeys; each uses names of its own."""
    running = RunningStack(tmp_path_factory.mktemp("stack") / "data").start()
    assert running.process.poll() is None, running.said
    yield running
    assert running.stop() == 0, running.said


@pytest.fixture
def own_stack(tmp_path):
    """A stack that a test may break, without workers and not started yet."""
    running = RunningStack(tmp_path / "data", options=("--workers", "0"))
    yield running
    if running.process is not None:
        running.stop()
