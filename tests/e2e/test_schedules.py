"""Schedules on the deployed stack: jobs every few seconds, by the tick and the queue."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from tests.e2e.running_stack import eventually

WORKSPACE = "clockwork"
TEXT = """
tasks:
  beat:
    input: { at: { type: string } }
    flow:
      only:
        type: script
        script: 'echo "at {{ input.at }}"'
        input: { at: "{{ input.at }}" }
triggers:
  often:
    type: scheduler
    cron: "*/10 * * * * *"
    task: beat
    input: { at: "{{ trigger.scheduled_at }}" }
  alone:
    type: scheduler
    cron: "5/20 * * * * *"
    task: beat
    concurrency: skip
    input: { at: "{{ trigger.scheduled_local }}" }
"""
WITHIN_S = 300


def pushed(stack, folder):
    (folder / ".workflows").mkdir(parents=True)
    (folder / ".workflows" / "beat.yaml").write_text(TEXT)
    done = stack.stroem("workspace", "push", str(folder), "--name", WORKSPACE)
    assert done.returncode == 0, done.stderr


def jobs_by(stack, trigger):
    body = json.loads(stack.get(f"/api/jobs?workspace={WORKSPACE}&limit=200")[1])
    return [job for job in body["items"] if job["source_id"] == f"{WORKSPACE}/{trigger}"]


def completed(stack, trigger):
    return [job for job in jobs_by(stack, trigger) if job["status"] == "completed"]


def made_ahead(stack):
    """Return the jobs that waited for their second; the first tick finds some that are late."""
    return [job for job in completed(stack, "often") if job["start_at"]]


def status_of(stack, backfill):
    said = stack.stroem("backfills", "status", backfill, "-w", WORKSPACE, "-o", "json")
    return json.loads(said.stdout)["status"]


def instant(text):
    return datetime.fromisoformat(text)


def test_a_schedule_of_seconds_runs_and_a_backfill_fills_in_what_was_before(stack, tmp_path):
    pushed(stack, tmp_path / "clockwork")
    try:
        eventually(lambda: len(made_ahead(stack)) >= 4, WITHIN_S)
        eventually(lambda: completed(stack, "alone"), WITHIN_S)
    finally:
        for name in ("often", "alone"):
            said = stack.stroem("triggers", "pause", f"{WORKSPACE}/{name}")
            assert said.returncode == 0, said.stderr
    ahead = made_ahead(stack)
    late = [instant(job["started_at"]) - instant(job["start_at"]) for job in ahead]
    assert timedelta() <= min(late)
    # By the tick alone, which comes each minute, it would be half a minute.
    assert sorted(late)[len(late) // 2] < timedelta(seconds=15)
    starts = [job["start_at"] for job in ahead]
    assert len(starts) == len(set(starts))
    _backfilled(stack)


def _backfilled(stack):
    times = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:01:00Z")
    path = f"{WORKSPACE}/often"
    begun = json.loads(
        stack.stroem("backfill", path, *times, "--max-parallel", "2", "-o", "json").stdout
    )
    assert (begun["total"], begun["made"]) == (7, 7)
    eventually(lambda: status_of(stack, begun["backfill_id"]) == "completed", WITHIN_S)
    again = json.loads(stack.stroem("backfill", path, *times, "-o", "json").stdout)
    assert (again["made"], again["existing"]) == (0, 7)
