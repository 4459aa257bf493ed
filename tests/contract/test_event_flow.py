"""A consumer on a real worker, in process and over HTTP: nothing that it prints is dropped."""

from __future__ import annotations

import importlib
import threading
from dataclasses import replace

import pytest

from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine.advance import cancel
from chalicelib.engine.concurrency import trigger_key
from chalicelib.engine.event_sources import tend
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.moves import JobFilter
from chalicelib.engine.payloads import load_object
from chalicelib.engine.recovery import sweep
from chalicelib.settings import access
from chalicelib.store.memory_event_sources import MemoryEventSources
from chalicelib.workspaces.publish import publish
from infra.local.frontdoor import FrontDoor
from tests.fakes.runner import eventually
from tests.fakes.worker import a_worker, at_work
from workers.control_direct import DirectControl
from workers.control_http import HttpControl

EVENTS = 40
FEED = f"""
actions:
  consume:
    type: script
    script: |
      echo '{{"n": 0, "text": "spaced"}}'; echo 'no event'; echo '[1]'; echo '{{broken'
      for i in $(seq 1 {EVENTS - 1}); do echo "{{\\"n\\": $i}}"; done
      echo "mode $MODE"; exec sleep 60
tasks:
  eat: {{flow: {{read: {{action: consume}}}}}}
  ship:
    input: {{n: {{type: number}}, text: {{type: string}}}}
    flow: {{only: {{type: script, script: "true"}}}}
triggers:
  queue:
    type: event_source
    task: eat
    target_task: ship
    env: {{MODE: "{{{{ secret.MODE }}}}"}}
    input: {{text: plain}}
    max_in_flight: 3
secrets: {{MODE: fast-and-secret}}
"""


@pytest.fixture
def engine():
    engine = replace(memory_engine(), event_sources=MemoryEventSources())
    wiring.use(engine)
    tree = WorkspaceTree({".workflows/feed.yaml": SourceFile(FEED.encode())})
    assert publish(engine, "feed", tree).ok
    yield engine
    wiring.use(None)


@pytest.fixture(params=["direct", "http"])
def control(request, engine, monkeypatch):
    if request.param == "direct":
        yield DirectControl(engine)
        return
    monkeypatch.setenv("STROEM_WORKER_TOKEN", "sesame")
    access.cache_clear()
    door = FrontDoor(importlib.import_module("app").app, 0)
    thread = threading.Thread(target=door.serve_forever, args=(0.02,))
    thread.start()
    control = HttpControl(f"http://127.0.0.1:{door.server_address[1]}", "sesame", connections=16)
    try:
        yield control
    finally:
        control.close()
        access.cache_clear()
        door.shutdown()
        thread.join()
        door.server_close()


def emitted(engine):
    wanted = JobFilter(workspaces=("feed",), source_type=SourceType.EVENT_SOURCE)
    return engine.jobs.page(wanted, None, 200)


def said(engine, job_id):
    return "\n".join(read_log(engine, job_id, "read"))


def test_every_event_starts_one_job_and_no_more_are_in_flight_than_may_be(
    engine, control, tmp_path
):
    assert tend(engine).made == 1
    most = 0

    def all_done():
        nonlocal most
        most = max(most, len(engine.slots.line(trigger_key("feed", "queue"), 1).holders))
        jobs = emitted(engine)
        return len(jobs) == EVENTS and all(job.status is JobStatus.COMPLETED for job in jobs)

    consumer = engine.event_sources.record("feed", "queue").job_id
    with at_work(a_worker(control, tmp_path, slots=4)):
        assert eventually(all_done, 90)
        assert engine.jobs.get(consumer).status is JobStatus.RUNNING
        assert eventually(lambda: "mode " in said(engine, consumer), 10)
        cancel(engine, consumer)
        assert eventually(lambda: engine.jobs.load(consumer).steps["read"].status.is_terminal, 20)
    inputs = [
        load_object(engine.blobs, engine.jobs.get(job.job_id).input) for job in emitted(engine)
    ]
    assert sorted(one["n"] for one in inputs) == list(range(EVENTS))
    assert {one["n"]: one["text"] for one in inputs} == {
        n: "plain" if n else "spaced" for n in range(EVENTS)
    }
    assert 1 < most <= 3
    log = said(engine, consumer)
    assert "no event" in log
    assert "fast-and-secret" not in log
    sweep(engine)
    assert len(emitted(engine)) == EVENTS
