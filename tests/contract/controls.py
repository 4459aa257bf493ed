"""Ways of a worker to the engine, in its own process and over HTTP, and work that waits there."""

import importlib
import threading
from contextlib import contextmanager

from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.logs import LogLine
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.engine.workers import Hello
from chalicelib.settings import access
from chalicelib.workspaces.publish import publish
from infra.local.frontdoor import FrontDoor
from tests.fakes.clock import NOON
from workers.control_http import HttpControl

TOKEN = "sesame"
WORKFLOW = """
actions:
  say:
    type: script
    script: echo {{ input.word }}
    input:
      word: {type: string, default: hello}
  count:
    type: script
    language: python
    script: print(len("{{ input.word }}"))
    args: ["--loud", "{{ input.word }}"]
    env: {WORD: "{{ input.word }}"}
    dependencies: [six]
    interpreter: /usr/bin/python3
    input:
      word: {type: string}
  file:
    type: script
    source: scripts/run.sh
tasks:
  one:
    input:
      word: {type: string, default: hello}
    flow:
      first: {action: count, timeout: 90s, input: {word: "{{ input.word }}"}}
  two:
    flow:
      first: {action: say}
      second: {action: say, depends_on: [first], input: {word: "{{ first.output.word }}"}}
  three:
    flow:
      first: {action: file}
  each:
    flow:
      first: {action: say, for_each: [a, b], sequential: true, input: {word: "{{ each.item }}"}}
"""
FILES = {
    ".workflows/flow.yaml": SourceFile(WORKFLOW.encode()),
    "scripts/run.sh": SourceFile(b"echo hi\n", executable=True),
}


@contextmanager
def an_engine():
    """An engine in memory with the workspace `shop`, which the app answers from meanwhile."""
    engine = memory_engine()
    wiring.use(engine)
    assert publish(engine, "shop", WorkspaceTree(FILES)).ok
    try:
        yield engine
    finally:
        wiring.use(None)


@contextmanager
def over_http(monkeypatch):
    """Yield how a worker of a name gets to the engine that the app answers from: registered."""
    monkeypatch.setenv("STROEM_WORKER_TOKEN", TOKEN)
    access.cache_clear()
    door = FrontDoor(importlib.import_module("app").app, 0)
    thread = threading.Thread(target=door.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{door.server_address[1]}"
    made = []

    def connected(name="anna"):
        made.append(HttpControl(url, TOKEN, connections=4))
        return registered(made[-1], name)

    try:
        yield connected
    finally:
        for control in made:
            control.close()
        access.cache_clear()
        door.shutdown()
        thread.join()
        door.server_close()


def registered(control, name):
    session = control.register(
        Hello(name=name, capabilities=("script",), tags=("near",), version="9")
    )
    assert session.heartbeat_s == 20
    control.session = session.worker_id
    return control


def a_job(engine, task="one", **given):
    return create(engine, JobRequest(workspace="shop", task=task, input=given)).job_id


def taken(control, wait_s=0.0):
    """Return what the first offer that is to be had brings; None without any."""
    for offer in control.offers("script", wait_s, 1):
        return offer()
    return None


def a_line(text):
    return LogLine(NOON, "stdout", "first", text)


def record(engine, job_id, step="first"):
    return engine.jobs.load(job_id).steps[step]
