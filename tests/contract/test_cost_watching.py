"""What watching costs: counted in fixed scenes, against the model and the committed budget."""

import json
import tomllib
from datetime import timedelta

import pytest

from chalicelib.api.jobs import MAX_LOG_BYTES
from chalicelib.client import heart
from chalicelib.client.machine import Patience
from chalicelib.domain import cost_watching as model
from chalicelib.domain.live import WATCHED_FOR
from chalicelib.domain.logs import LogLine
from chalicelib.domain.prices import NOTHING, gets
from chalicelib.engine.job_logs import INLINE_CHUNK_BYTES
from tests.contract.cost_audience import an_audience
from tests.contract.cost_scenes import FETCHED, SCENES, played
from tests.contract.test_cost_budget import BUDGET, differences, spelled
from tests.fakes.clock import NOON
from tests.fakes.command import ROOT
from workers.backlog import Backlog
from workers.log_stream import Pace

MODEL = {
    "a connection is opened": model.OPENING,
    "a job is subscribed to": model.SUBSCRIBING,
    "a ping": model.PING,
    "a ping that renews": model.PING + model.RENEWAL,
    "the last viewer leaves": model.LEAVING,
    "lines that nobody watches": NOTHING,
    "lines told to 1": model.lines_told(1),
    "lines told to 10": model.lines_told(10),
    "a large chunk told to 1": model.lines_told(1, is_large=True),
    "a change told to 1": model.change_told(1),
    "a change told to 10": model.change_told(10),
    "a job that nobody watches": model.UNWATCHED_JOB,
    f"a log of {FETCHED} large chunks is fetched": model.log_fetched(FETCHED),
    "a part of an archive is read": model.PART,
    # There was one large chunk to be had.
    "a poll": model.POLL + gets(1),
}


@pytest.fixture(scope="module")
def budget():
    return tomllib.loads(BUDGET.read_text())["watching"]


@pytest.fixture
def audience(moto, monkeypatch):
    monkeypatch.delenv("STROEM_WORKER_TOKEN", raising=False)
    return an_audience(moto)


@pytest.mark.parametrize("name", SCENES)
def test_watching_costs_what_the_budget_and_the_model_say(audience, budget, name):
    found = played(audience, SCENES[name])
    allowed = budget.get(name, {})
    assert list(differences(name, spelled(found), allowed, "watching")) == []
    assert found == pytest.approx(dict(MODEL[name].units))


def test_the_budget_has_no_scene_that_is_not_played(budget):
    assert list(budget) == list(SCENES) == list(MODEL)


def test_the_model_takes_the_workers_pace_and_the_clients_patience():
    pace, step = Pace(), Backlog("build", 10**6)
    step.add(LogLine(NOON, "stdout", "build", "x" * model.LINE_BYTES))
    assert (pace.watched_s, pace.unwatched_s) == (model.WATCHED_FLUSH_S, model.UNWATCHED_FLUSH_S)
    assert (pace.chunk_lines, pace.chunk_bytes) == (model.CHUNK_LINES, model.CHUNK_BYTES)
    assert step.held_bytes == model.HELD_LINE_BYTES
    assert (heart.PING_S, heart.IDLE_PING_S) == (model.PING_EVERY_S, model.IDLE_PING_S)
    assert timedelta(seconds=model.RENEWAL_S) == WATCHED_FOR / 3
    # The page says how often a client polls while lines come.
    assert Patience().slowest_poll_s == 8 * Patience().poll_s == model.POLL_S


def test_the_model_takes_lines_as_they_are_kept_and_answered():
    text = LogLine(NOON, "stdout", "build", "x" * model.LINE_BYTES).to_json()
    assert len(text) + 1 == model.KEPT_LINE_BYTES
    assert len(json.dumps(text)) == model.ANSWERED_LINE_BYTES
    assert (INLINE_CHUNK_BYTES, MAX_LOG_BYTES) == (model.INLINE_BYTES, model.ANSWER_BYTES)


@pytest.mark.parametrize("name", ["websocket_connect", "websocket_message", "push"])
def test_the_functions_have_the_memory_that_the_model_takes(name):
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    found = config["stages"]["aws"]["lambda_functions"][name]
    assert found["lambda_memory_size"] / 1024 * 0.05 == model.GB_S_PER_INVOCATION
