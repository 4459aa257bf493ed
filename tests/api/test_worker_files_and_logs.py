"""What workers send and fetch in bulk: log lines, and the files of a revision."""

from __future__ import annotations

import hashlib
import json
from uuid import uuid4

import pytest

from chalicelib.domain.live import WATCHED_FOR
from chalicelib.workspaces.tarball import unpack
from tests.api.remote_workers import OwnWorker, PlainWorker
from tests.api.world import SHOP, SourceFile, WorkspaceTree, a_tree, problem_in

AT = "2026-11-21T12:00:00.5Z"


def lines_of(world, job_id):
    logs = world.get(f"/api/jobs/{job_id}/steps/only/logs").json_body["logs"]
    return [json.loads(line)["line"] for line in logs.splitlines()]


def a_line(text):
    return {"ts": AT, "stream": "stdout", "line": text}


def test_lines_without_numbers_go_behind_those_that_are_there(world):
    worker = PlainWorker(world)
    job_id = world.execute("one")
    claimed = worker.claim()
    worker.log(claimed, [a_line("1"), a_line("2")])
    worker.log(claimed, [])
    worker.log(claimed, [a_line("3")])
    assert lines_of(world, job_id) == ["1", "2", "3"]


def test_the_same_numbered_lines_twice_are_kept_once(world):
    worker = OwnWorker(world)
    job_id = world.execute("one")
    claimed = worker.claim()
    for _ in range(2):
        assert worker.log(claimed, [a_line("1"), a_line("2")]).status_code == 200
    assert lines_of(world, job_id) == ["1", "2"]


@pytest.mark.parametrize("kind", [PlainWorker, OwnWorker])
def test_lines_of_a_watched_job_are_live_whether_or_not_the_worker_knows(world, kind):
    worker = kind(world)
    jobs = [world.execute("one") for _ in range(2)]
    world.engine.jobs.watch(jobs[0], world.clock.now() + WATCHED_FOR)
    found = {}
    for claimed in (worker.claim(), worker.claim()):
        assert worker.log(claimed, [a_line("1")]).status_code == 200
        [chunk] = world.engine.logs.chunks(claimed["job_id"])
        found[claimed["job_id"]] = (claimed["watched"], chunk.live)
    assert found == {jobs[0]: (True, True), jobs[1]: (False, False)}


def test_lines_of_a_lease_that_is_over_are_fenced(world):
    worker = OwnWorker(world)
    world.execute("one")
    claimed = worker.claim()
    problem_in(worker.log({**claimed, "lease": "other"}, [a_line("1")]), 409, "fenced")
    worker.complete(claimed)
    problem_in(worker.log(claimed, [a_line("1")]), 409, "fenced")


def test_lines_of_an_unknown_job_are_not_found(world):
    body = {"step_name": "only", "lines": [a_line("1")]}
    problem_in(world.post(f"/worker/jobs/{uuid4()}/logs", body), 404, "not-found")


def test_a_time_without_a_zone_is_utc(world):
    worker = PlainWorker(world)
    job_id = world.execute("one")
    worker.log(worker.claim(), [{**a_line("1"), "ts": "2026-11-21T12:00:01"}])
    logs = world.get(f"/api/jobs/{job_id}/steps/only/logs").json_body["logs"]
    assert json.loads(logs)["ts"] == "2026-11-21T12:00:01.000000Z"


def test_the_files_of_the_revision_in_force_are_given(world):
    revision = world.engine.registry.workspace("shop").revision
    for query in ("", f"?revision={revision}"):
        answer = world.get(f"/worker/workspace/shop.tar.gz{query}", Accept="application/json")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/gzip"
        assert answer.headers["ETag"] == f'"{revision}"'
        assert answer.headers["X-Revision"] == revision
        assert answer.headers["X-Content-SHA256"] == hashlib.sha256(answer.body).hexdigest()
        assert unpack(answer.body) == a_tree()


def test_an_older_revision_is_given_for_as_long_as_it_is_kept(world):
    older = world.engine.registry.workspace("shop").revision
    world.publish("shop", SHOP.replace("Ship it", "Ship it now"))
    answer = world.get(f"/worker/workspace/shop.tar.gz?revision={older}")
    assert answer.headers["X-Revision"] == older
    assert unpack(answer.body) == a_tree()


def test_files_that_the_worker_has_are_not_given_again(world):
    revision = world.engine.registry.workspace("shop").revision
    answer = world.get("/worker/workspace/shop.tar.gz", If_None_Match=f'"{revision}"')
    assert (answer.status_code, answer.body) == (304, b"")
    other = world.get("/worker/workspace/shop.tar.gz", If_None_Match='"other"')
    assert other.status_code == 200


def test_files_too_large_for_an_answer_are_pointed_at(world):
    noise = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(130_000))
    tree = WorkspaceTree({**a_tree().files, "noise.bin": SourceFile(noise)})
    from chalicelib.workspaces.publish import publish  # noqa: PLC0415 - for this one

    revision = publish(world.engine, "large", tree).revision
    answer = world.get("/worker/workspace/large.tar.gz")
    key = f"workspaces/large/{revision}/files.tar.gz"
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"memory:{key}?expires=60"


@pytest.mark.parametrize(
    "path",
    ["nope.tar.gz", "shop", "shop.zip", ".tar.gz", "%2e%2e.tar.gz", "shop.tar.gz?revision=0"],
)
def test_files_that_are_not_there_are_not_found(world, path):
    problem_in(world.get(f"/worker/workspace/{path}"), 404, "not-found")


def test_files_of_a_workspace_without_a_good_revision_are_not_found(world):
    world.publish("broken", "tasks: 7")
    problem_in(world.get("/worker/workspace/broken.tar.gz"), 404, "not-found")
