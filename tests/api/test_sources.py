"""Where workspaces come from, over the API: git on loopback, folders, and the tick."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from chalicelib import settings
from chalicelib.domain.origins import Holder
from chalicelib.engine.ports_schedules import Refresher
from chalicelib.triggers.ticks import on_tick
from chalicelib.workspaces.sources import SourceRefresher, poll
from chalicelib.workspaces.tarball import unpack
from tests.api.sources import ONE, TOKEN, TWO, later, put, row, tasks
from tests.api.world import problem_in

BROKEN = {"shop.yaml": "tasks:\n  one: {flow: {s: {action: nothing}}}\n"}


def test_a_workspace_from_git_is_read_when_it_is_added(git):
    commit = git.repository.commit(ONE, "First of all\n\nbody")
    answer = put(git)
    assert answer.status_code == 200, answer.body
    shown = answer.json_body
    assert (shown["seen"], shown["ref"]) == (commit, "main")
    assert "trouble" not in shown
    assert tasks(git) == ["one"]
    (published,) = git.get("/api/workspaces/repo/revisions").json_body["items"]
    assert published["commit"] == commit
    assert published["message"] == "First of all"
    assert published["author"] == "Ann Example <ann@example.com>"
    assert (published["kind"], published["in_force"]) == ("git", True)
    assert published["revision"] == row(git)["revision"] == shown["revision"]


def test_a_poll_publishes_a_new_commit_once_its_interval_is_over(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    assert poll(git.engine, git.clock.now() + timedelta(seconds=59)).looked == 0
    assert tasks(git) == ["one"]
    later(git)
    assert poll(git.engine, git.clock.now()).changed == 1
    assert tasks(git) == ["two"]


def test_a_poll_without_a_new_commit_asks_for_the_head_only(git):
    git.repository.commit(ONE)
    put(git)
    later(git)
    before = len(git.server.asked)
    done = poll(git.engine, git.clock.now())
    assert (done.looked, done.changed) == (1, 0)
    assert {path for path, _ in git.server.asked[before:]} == {"/shop.git/info/refs"}


def test_a_broken_commit_is_shown_by_file_and_line_and_replaces_nothing(git):
    git.repository.commit(ONE)
    put(git)
    good = row(git)["revision"]
    git.repository.commit(BROKEN)
    later(git)
    poll(git.engine, git.clock.now())
    assert tasks(git) == ["one"]
    assert row(git)["revision"] == good
    assert row(git)["error"].startswith("shop.yaml:2:")
    assert "there is no action `nothing`" in row(git)["error"]
    source = git.get("/api/workspaces/repo/source").json_body
    assert source["trouble"].startswith("shop.yaml:2:")
    git.repository.commit(TWO)
    later(git)
    poll(git.engine, git.clock.now())
    assert (tasks(git), row(git).get("error")) == (["two"], None)


def test_a_refresh_reads_the_newest_commit_and_is_refused_within_five_seconds(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    answer = git.post("/api/workspaces/repo/refresh")
    problem_in(answer, 429, "rate-limited")
    assert answer.headers["Retry-After"] == "5"
    later(git, 5)
    answer = git.post("/api/workspaces/repo/refresh").json_body
    assert answer == {
        "workspace": "repo",
        "revision": row(git)["revision"],
        "refreshed": True,
    }
    assert tasks(git) == ["two"]


def test_a_refresh_of_a_broken_commit_tells_every_fault(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(BROKEN)
    later(git, 5)
    answer = git.post("/api/workspaces/repo/refresh")
    assert answer.status_code in (400, 422)
    assert "stays in force" in answer.json_body["detail"]
    assert answer.json_body["errors"][0]["file"] == "shop.yaml"


def test_a_running_job_keeps_its_revision_and_its_files(git):
    git.repository.commit(ONE)
    put(git)
    before = row(git)["revision"]
    git.execute("one", ws="repo")
    git.repository.commit(TWO)
    later(git, 5)
    git.post("/api/workspaces/repo/refresh")
    assert row(git)["revision"] != before
    claimed = git.claim(git.worker())
    assert claimed["revision"] == before
    answer = git.get(f"/worker/workspace/repo.tar.gz?revision={before}")
    assert unpack(answer.body).files["run.sh"].content == b"1"
    again = git.get(
        f"/worker/workspace/repo.tar.gz?revision={before}", If_None_Match=f'"{before}"'
    )
    assert (again.status_code, again.body) == (304, b"")


def test_a_repository_that_cannot_be_read_is_shown_and_the_token_is_not(git):
    git.repository.commit(ONE)
    shown = put(git, token="ref+awsssm:///git/other").json_body
    assert "there is no parameter /git/other" in shown["trouble"]
    shown = put(git, token="ref+awsssm:///git/wrong").json_body
    assert "refused us: check the token" in shown["trouble"]
    assert "refused us" in row(git)["error"]
    everything = json.dumps([git.get("/api/workspaces").json_body, shown])
    everything += json.dumps(git.get("/api/workspaces/repo/source").json_body)
    assert "wrong-token" not in everything
    assert TOKEN not in everything
    assert put(git).json_body.get("trouble") is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"token": TOKEN}, "is no reference"),
        ({"ssh_key": "-----BEGIN"}, "is no reference"),
        ({"hook_secret": "clear"}, "is no reference"),
        ({"token": "ref+env://TOKEN"}, "is no reference"),
        ({"url": "file:///etc"}, "plain http is for this machine only"),
        ({"url": "https://a:b@git.example/x"}, "holds a user or password"),
        ({"url": None}, "plain http is for this machine only"),
        ({"path": "/srv"}, "is for `kind: folder` only"),
        ({"poll_interval_s": 1}, "not valid"),
        ({"colour": "red"}, "not valid"),
    ],
)
def test_a_source_that_cannot_be_kept_is_refused_without_an_echo(git, given, why):
    answer = put(git, **given)
    assert answer.status_code == 400, answer.body
    assert why in json.dumps(answer.json_body)
    assert TOKEN not in json.dumps(answer.json_body)
    assert git.engine.sources.get(Holder.WORKSPACE, "repo") is None


def test_a_source_may_be_removed_and_what_was_published_stays(git):
    git.repository.commit(ONE)
    put(git)
    assert git.delete("/api/workspaces/repo/source").status_code == 200
    assert tasks(git) == ["one"]
    assert git.get("/api/workspaces/repo/source").status_code == 404
    assert git.post("/api/workspaces/repo/refresh").json_body["refreshed"] is False


def test_the_refresher_of_triggers_reads_the_source(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    refresher: Refresher = SourceRefresher(git.engine)
    refresher.refresh("repo")
    assert tasks(git) == ["two"]


def test_a_folder_is_a_source_only_where_the_installation_opens_it(world, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "shop.yaml").write_text(ONE["shop.yaml"])
    body = {"kind": "folder", "path": str(tmp_path / "in")}
    settings.folder_roots.cache_clear()
    assert (
        "STROEM_FOLDERS"
        in problem_in(world.put("/api/workspaces/repo/source", body), 400, "invalid")["detail"]
    )
    monkeypatch.setenv("STROEM_FOLDERS", str(tmp_path))
    settings.folder_roots.cache_clear()
    for path in ("/proc/self", str(tmp_path / ".." / "x"), "/"):
        refused = world.put("/api/workspaces/repo/source", {**body, "path": path})
        assert refused.status_code == 400
    assert world.put("/api/workspaces/repo/source", body).status_code == 200
    assert tasks(world) == ["one"]
    settings.folder_roots.cache_clear()


def test_the_tick_reads_what_is_due_before_the_next_one(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    later(git, 1)
    on_tick(git.engine, lambda seconds: None)
    assert tasks(git) == ["two"]


def test_a_server_of_git_that_is_gone_keeps_the_tick_from_nothing(git):
    git.repository.commit(ONE)
    put(git)
    put(git, "gone", url="http://127.0.0.1:9/x.git")
    git.repository.commit(TWO)
    later(git)
    on_tick(git.engine, lambda seconds: None)
    assert tasks(git) == ["two"]
    assert "did not answer" in row(git, "gone")["error"]
