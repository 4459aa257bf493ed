"""What a killed worker and a killed engine leave behind, and who repairs it."""

from __future__ import annotations

import json

import pytest

from tests.e2e.running_stack import eventually
from tests.e2e.workers import a_worker, run_engine

WORKSPACE = """
tasks:
  sleeper:
    flow:
      nap: { type: script, script: "echo sleeping; sleep 150" }
      after: { type: script, depends_on: [nap], script: "echo never" }
  pair:
    flow:
      first: { type: script, script: "echo one" }
      second: { type: script, depends_on: [first], script: "echo two" }
"""

# Completes the first step with the product's own engine, and dies as kill -9 does where the next
# step would be sent: the completion is written, the dispatch is not.
CRASH = """
import os
import sys
from dataclasses import replace
from chalicelib import wiring
from chalicelib.engine import steps, workers

class DyingQueue:
    def __init__(self, queue): self.queue = queue
    def receive(self, *args): return self.queue.receive(*args)
    def delete(self, received): self.queue.delete(received)
    def send(self, pool, messages, group=None): os._exit(9)

engine = wiring.engine()
engine = replace(engine, queue=DyingQueue(engine.queue))
session = workers.register(engine, workers.Hello(name="crasher", capabilities=("script",)))
received = engine.queue.receive("script", 10, 1)[0]
assignment = workers.take(engine, received, session.worker_id, "crasher")
assert assignment.hold.ref.step == "first"
steps.complete(engine, assignment.hold, steps.Outcome())
sys.exit("the engine outlived its crash")
"""


@pytest.fixture
def broken(own_stack, tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "tasks.yaml").write_text(WORKSPACE)
    own_stack.options = (*own_stack.options, "--workspace", f"default={folder}")
    return own_stack.start()


def job(stack, job_id):
    status, body = stack.get(f"/api/jobs/{job_id}")
    assert status == 200, body
    return json.loads(body)


def trigger(stack, task):
    done = stack.stroem("trigger", task, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["job_id"]


def step_of(found, name):
    return next(step for step in found["steps"] if step["step_name"] == name)


@pytest.mark.slow
def test_a_job_whose_worker_was_killed_in_mid_step_ends_and_says_why(broken, tmp_path):
    job_id = trigger(broken, "sleeper")
    with a_worker(broken, tmp_path, "victim") as victim:
        eventually(lambda: step_of(job(broken, job_id), "nap")["status"] == "running")
        victim.kill()
        victim.wait()
    with a_worker(broken, tmp_path, "successor"):
        # A session is dead after 60 s of silence, and the tick comes every minute.
        eventually(lambda: job(broken, job_id)["completed_at"], within_s=400)
    ended = job(broken, job_id)
    assert ended["status"] == "failed"
    assert "Worker lost: worker victim" in step_of(ended, "nap")["error_message"]
    assert step_of(ended, "after")["status"] == "skipped"
    told = broken.stroem("logs", job_id, "--step", "_server").stdout
    assert "Worker lost" in told


@pytest.mark.slow
def test_a_job_whose_engine_died_between_completion_and_dispatch_is_repaired_by_the_tick(
    broken, tmp_path
):
    job_id = trigger(broken, "pair")
    crashed = run_engine(broken, CRASH)
    assert crashed.returncode == 9, crashed.stderr
    halted = job(broken, job_id)
    assert step_of(halted, "first")["status"] == "completed"
    assert step_of(halted, "second")["status"] == "ready"
    with a_worker(broken, tmp_path):
        eventually(lambda: job(broken, job_id)["completed_at"], within_s=400)
    assert job(broken, job_id)["status"] == "completed"
