"""Logs of jobs: whole, by step, followed, archived."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib import wiring
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.live import WATCHED_FOR
from tests.api.world import SECRET, problem_in
from tests.fakes.builders import a_claim, a_retry

NOON = "2026-11-21T12:00:00.000000Z"


def lines_of(answer):
    assert answer.status_code == 200, answer.body
    return [json.loads(line)["line"] for line in answer.json_body["logs"].splitlines()]


def a_job_with_a_log(world):
    job_id, worker = world.execute("one"), world.worker()
    claimed = world.claim(worker)
    lines = [{"ts": NOON, "stream": "stdout", "line": f"line {n}"} for n in range(1, 4)]
    world.post(f"/worker/jobs/{job_id}/logs", {"step_name": "only", "lines": lines})
    return job_id, claimed


def test_a_log_is_read_whole_by_step_and_by_the_engine(world):
    job_id, claimed = a_job_with_a_log(world)
    world.clock.tick(1)
    world.complete(claimed)
    own = ["line 1", "line 2", "line 3"]
    server = [
        f"Job created by api, revision {claimed['revision']}",
        "Step 'only' attempt 1 started by worker w1",
        "Step 'only' completed",
        "Job completed",
    ]
    assert lines_of(world.get(f"/api/jobs/{job_id}/steps/only/logs")) == own
    assert lines_of(world.get(f"/api/jobs/{job_id}/steps/_server/logs")) == server
    assert lines_of(world.get(f"/api/jobs/{job_id}/logs")) == server[:2] + own + server[2:]
    assert set(world.get(f"/api/jobs/{job_id}/logs").json_body) == {"logs"}


def test_a_name_in_a_path_may_be_escaped(world):
    job_id, _ = a_job_with_a_log(world)
    assert len(lines_of(world.get(f"/api/jobs/{job_id}/steps/%6Fnl%79/logs"))) == 3


def test_a_line_is_what_the_protocol_says(world):
    job_id, _ = a_job_with_a_log(world)
    first = world.get(f"/api/jobs/{job_id}/steps/only/logs").json_body["logs"].splitlines()[0]
    assert json.loads(first) == {
        "ts": NOON,
        "stream": "stdout",
        "step": "only",
        "line": "line 1",
    }


def test_a_log_is_followed_without_being_read_again(world):
    job_id, _ = a_job_with_a_log(world)
    path = f"/api/jobs/{job_id}/steps/only/logs"
    start = world.get(f"{path}?after=0")
    assert (lines_of(start), start.json_body["next"]) == (["line 1", "line 2", "line 3"], 3)
    assert lines_of(world.get(f"{path}?after=2")) == ["line 3"]
    assert world.get(f"{path}?after=3").json_body == {"logs": "", "next": 3}
    problem_in(world.get(f"{path}?after=-1"), 400, "invalid")


class Fetched:
    """Objects of which is known how often one was fetched."""

    def __init__(self, blobs):
        self._blobs = blobs
        self.count = 0

    def get(self, key):
        self.count += 1
        return self._blobs.get(key)

    def __getattr__(self, name):
        return getattr(self._blobs, name)


def test_who_polls_a_long_log_has_only_what_is_new_of_it_read(world):
    """A log that is fetched from its beginning each time takes ever longer, and then too long."""
    job_id, worker = world.execute("one"), world.worker()
    world.claim(worker)
    for first in range(1, 250, 2):
        lines = [{"ts": NOON, "stream": "stdout", "line": "x" * 5000}] * 2
        body = {"step_name": "only", "first": first, "lines": lines}
        world.post(f"/worker/jobs/{job_id}/logs", body)
    blobs = Fetched(world.engine.blobs)
    world.engine = replace(world.engine, blobs=blobs)
    wiring.use(world.engine)
    path = f"/api/jobs/{job_id}/steps/only/logs"
    assert len(lines_of(world.get(f"{path}?after=0"))) == 250
    assert blobs.count == 125
    # From within a chunk, and from its end.
    for after, fetched in ((247, 2), (248, 1), (250, 0)):
        blobs.count = 0
        assert len(lines_of(world.get(f"{path}?after={after}"))) == 250 - after
        assert blobs.count == fetched


def test_a_log_of_several_attempts_is_followed_through_all_of_them(world):
    job_id = world.execute("one")
    first = a_claim(job_id, "only")
    jobs = world.engine.jobs
    jobs.claim_step(first)
    jobs.retry_step(a_retry(first))
    jobs.claim_step(a_claim(job_id, "only", attempt=2, at=first.at + timedelta(minutes=1)))
    for attempt, ts in ((1, NOON), (2, NOON.replace("12:00", "12:01"))):
        lines = [{"ts": ts, "stream": "stdout", "line": f"{attempt}.{n}"} for n in (1, 2)]
        body = {"step_name": "only", "attempt": attempt, "first": 1, "lines": lines}
        world.post(f"/worker/jobs/{job_id}/logs", body)
    path = f"/api/jobs/{job_id}/steps/only/logs"
    assert lines_of(world.get(f"{path}?after=1")) == ["1.2", "2.1", "2.2"]
    assert lines_of(world.get(f"{path}?after=3")) == ["2.2"]


def watched_until(world, job_id):
    return world.engine.jobs.get(job_id).watched_until


@pytest.mark.parametrize("path", ["logs", "steps/only/logs", "steps/_server/logs"])
def test_who_reads_the_log_of_a_job_that_goes_on_watches_it(world, path):
    job_id, _ = a_job_with_a_log(world)
    assert watched_until(world, job_id) is None
    began = world.clock.now()
    world.get(f"/api/jobs/{job_id}/{path}?after=0")
    assert watched_until(world, job_id) == began + WATCHED_FOR


def test_a_log_that_is_read_often_is_noted_to_be_watched_at_most_once_a_minute(world):
    job_id, _ = a_job_with_a_log(world)
    noted = []
    for _ in range(12):
        world.get(f"/api/jobs/{job_id}/logs")
        noted.append(watched_until(world, job_id))
        world.clock.tick(10)
    # After 60 s two thirds are left, and nothing is written.
    assert [noted.count(one) for one in dict.fromkeys(noted)] == [7, 5]


def test_who_reads_the_log_of_a_job_that_has_ended_watches_nothing(world):
    job_id, claimed = a_job_with_a_log(world)
    world.complete(claimed)
    world.get(f"/api/jobs/{job_id}/logs")
    assert watched_until(world, job_id) is None


def test_a_log_too_long_for_one_answer_says_where_to_go_on(world):
    job_id = world.execute("one")
    world.claim(world.worker())
    for digit in "123":
        line = {"ts": NOON, "stream": "stdout", "line": digit * 1_300_000}
        world.post(f"/worker/jobs/{job_id}/logs", {"step_name": "only", "lines": [line]})
    path = f"/api/jobs/{job_id}/steps/only/logs"
    seen, after = "", 0
    while lines := lines_of(part := world.get(f"{path}?after={after}")):
        seen, after = seen + "".join(line[0] for line in lines), part.json_body["next"]
    assert (seen, after) == ("123", 3)
    whole = world.get(path)
    assert lines_of(whole)[-1] == "… the log goes on: read the rest with ?after=2"
    assert whole.json_body["next"] == 2


def test_a_log_of_a_step_that_the_flow_has_not_is_not_found(world):
    job_id, _ = a_job_with_a_log(world)
    problem_in(world.get(f"/api/jobs/{job_id}/steps/nope/logs"), 404, "not-found")


def test_secrets_are_hidden_in_logs_that_stay_json(world):
    job_id, worker = world.execute("one"), world.worker()
    world.claim(worker)
    text = f'{SECRET} "{SECRET}"'
    body = {"step_name": "only", "lines": [{"ts": NOON, "stream": "stderr", "line": text}]}
    world.post(f"/worker/jobs/{job_id}/logs", body)
    assert lines_of(world.get(f"/api/jobs/{job_id}/steps/only/logs")) == ['•••••• "••••••"']


def test_the_log_is_the_same_before_and_after_it_is_archived(world):
    job_id, claimed = a_job_with_a_log(world)
    before = lines_of(world.get(f"/api/jobs/{job_id}/steps/only/logs"))
    world.clock.tick(1)
    world.complete(claimed)
    world.engine.logs.drop(job_id)
    assert world.engine.jobs.get(job_id).status is JobStatus.COMPLETED
    assert lines_of(world.get(f"/api/jobs/{job_id}/steps/only/logs")) == before
    assert timedelta(0) < world.clock.now() - world.engine.jobs.get(job_id).created_at
