"""Viewers on a real stack see each line once, though messages are lost, doubled and cut off."""

from __future__ import annotations

import json

from benchmarks.viewers.command import faults_of
from benchmarks.viewers.crowd import Show, drawn, watch
from benchmarks.viewers.job import TASK, write_workspace
from benchmarks.viewers.verdict import end_of
from benchmarks.viewers.weather import Weather
from tests.e2e.live_messages import hear, say
from tests.e2e.running_stack import eventually

LINES = 400
WRITES_S = 5
VIEWERS = 8
# Of so few messages at five and ten in a hundred, none might be lost.
WEATHER = Weather(lost=0.15, doubled=0.3, life_s=6.0)


def job_of(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}")[1])


def test_each_of_a_few_viewers_sees_each_line_once_whatever_is_lost_doubled_or_cut(
    stack, tmp_path
):
    write_workspace(tmp_path, LINES, WRITES_S)
    pushed = stack.stroem("workspace", "push", str(tmp_path), "--name", "viewers")
    assert pushed.returncode == 0, pushed.stderr
    # A function that was never called takes seconds to start: a client may give live updates up.
    with stack.live() as socket:
        say(socket, action="ping", id="warm")
        hear(socket, "pong")
    path = f"/api/workspaces/viewers/tasks/{TASK}/execute"
    job_id = stack.post(path, {"input": {}})["job_id"]
    show = Show(stack.url, job_id, LINES, WEATHER)
    sights = watch(show, drawn(VIEWERS, WRITES_S, seed=1))
    eventually(lambda: job_of(stack, job_id)["completed_at"], within_s=60)
    sights += watch(show, drawn(1, 0, seed=2))
    assert faults_of(sights, end_of(job_of(stack, job_id))) == []
    assert [one.verdict.seen for one in sights] == [LINES] * (VIEWERS + 1)
    assert sum(one.counts["lost"] for one in sights) > 0
    assert sum(one.counts["doubled"] for one in sights) > 0
