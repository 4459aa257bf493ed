"""A real worker that a group's token lets in: it runs its group's work and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager

import pytest

from tests.e2e.running_stack import eventually
from tests.e2e.workers import WORKER

FLOW = """
actions:
  hi:
    type: script
    script: "echo {{ input.word }}"
    tags: [grouped]
    input: { word: { type: string } }
tasks:
  greet:
    flow:
      one: { action: hi, input: { word: first } }
      two: { action: hi, input: { word: second }, depends_on: [one] }
"""


@contextmanager
def a_group_worker(stack, tmp_path, token):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("AWS", "STROEM"))}
    log = tmp_path / "worker.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [
                str(WORKER), "--control", "http", "--url", stack.url, "--tags", "grouped",
                "--name", "grouped", "--cache-dir", str(tmp_path / "cache"),
            ],
            env=plain | {"STROEM_WORKER_TOKEN": token},
            stdout=said,
            stderr=said,
        )  # fmt: skip
    try:
        yield log
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def status_of(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}")[1])["status"]


def started(stack, workspace):
    done = stack.stroem("trigger", "greet", "-w", workspace, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["job_id"]


@pytest.mark.slow
def test_a_worker_of_a_group_runs_its_groups_work_until_it_is_revoked(stack, tmp_path):
    for name in ("grouped-a", "grouped-b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "flow.yaml").write_text(FLOW)
        pushed = stack.stroem("workspace", "push", str(folder), "--name", name)
        assert pushed.returncode == 0, pushed.stderr
    made = stack.stroem("worker-groups", "create", "grouped", "-w", "grouped-a")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    foreign = started(stack, "grouped-b")
    with a_group_worker(stack, tmp_path, token) as log:
        own = started(stack, "grouped-a")
        eventually(lambda: status_of(stack, own) == "completed", 180)
        assert status_of(stack, foreign) == "pending"
        revoked = stack.stroem("worker-groups", "revoke", "grouped")
        assert revoked.returncode == 0, revoked.stderr
        eventually(lambda: "worker token is unknown" in log.read_text(), 180)
        late = started(stack, "grouped-a")
        eventually(lambda: log.read_text().count("worker token is unknown") > 1, 180)
        assert status_of(stack, late) == "pending"
        assert token not in log.read_text()
