"""Where workspaces come from, over the API: git on loopback, folders, pushes, and the way back."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from chalicelib import settings, wiring
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.origins import Holder
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine.ports_schedules import Refresher
from chalicelib.triggers.ticks import on_tick
from chalicelib.workspaces.sources import SourceRefresher, poll
from chalicelib.workspaces.tarball import pack, unpack
from tests.api.world import problem_in
from tests.fakes.git_server import Repository, serving

TOKEN = "ghp_a-token-that-nobody-sees"
HOOK = "what-github-signs-with"
ONE = {"shop.yaml": "tasks: {one: {flow: {s: {type: script, script: echo 1}}}}", "run.sh": "1"}
TWO = {
    "shop.yaml": "tasks: {two: {flow: {s: {type: script, script: echo 2}}}}",
    "other.txt": "2",
}
BROKEN = {"shop.yaml": "tasks:\n  one: {flow: {s: {action: nothing}}}\n"}


class Vault:
    """The secrets of the account."""

    def __init__(self):
        self.kept = {"/git/token": TOKEN, "/git/hook": HOOK, "/git/wrong": "wrong-token"}

    def fetch(self, reference, workspace):
        assert workspace == "_git", "a workspace of this name could read the secret, too"
        name = "/" + reference.where.strip("/")
        if name not in self.kept:
            raise NotFoundError(f"there is no parameter {name}")
        return self.kept[name]


@pytest.fixture
def git(world):
    """The world with a vault, and a repository behind a token."""
    world.engine = replace(world.engine, secrets=Vault())
    wiring.use(world.engine)
    world.repository = Repository()
    with serving(world.repository, TOKEN) as server:
        world.server = server
        world.source = {
            "kind": "git",
            "url": server.url,
            "token": "ref+awsssm:///git/token",
            "hook_secret": "ref+awsssm:///git/hook",
        }
        yield world


def put(world, ws="repo", **given):
    return world.put(f"/api/workspaces/{ws}/source", {**world.source, **given})


def row(world, ws="repo"):
    return next(one for one in world.get("/api/workspaces").json_body if one["name"] == ws)


def tasks(world, ws="repo"):
    return [task["id"] for task in world.get(f"/api/workspaces/{ws}/tasks").json_body]


def later(world, seconds=60):
    world.clock.tick(seconds)


# git


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


# hooks of git's hosts


def signed(body, secret=HOOK):
    return "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()


def test_a_push_that_github_signed_or_gitlab_sent_is_read_at_once(git):
    git.repository.commit(ONE)
    put(git)
    body = b'{"ref": "refs/heads/main"}'
    for files, expected, headers in (
        (TWO, "two", {"X_Hub_Signature_256": signed(body)}),
        (ONE, "one", {"X_Gitlab_Token": HOOK}),
    ):
        git.repository.commit(files)
        later(git, 6)
        answer = git.post("/hooks/_workspace/repo", body, **headers)
        assert answer.status_code == 202, answer.body
        assert answer.json_body == {"workspace": "repo", "refreshed": True}
        assert tasks(git) == [expected]


def test_a_second_push_within_five_seconds_is_left_to_the_next_tick(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    answer = git.post("/hooks/_workspace/repo", b"{}", X_Gitlab_Token=HOOK)
    assert (answer.status_code, answer.json_body["refreshed"]) == (202, False)
    assert poll(git.engine, git.clock.now()).changed == 1
    assert tasks(git) == ["two"]


def test_a_push_that_is_not_signed_is_answered_as_if_there_were_no_such_hook(git):
    git.repository.commit(ONE)
    put(git)
    body = b"{}"
    wrong = [
        ("/hooks/_workspace/repo", {}),
        ("/hooks/_workspace/repo", {"X_Hub_Signature_256": signed(body, "other")}),
        ("/hooks/_workspace/repo", {"X_Hub_Signature_256": signed(b"other")}),
        ("/hooks/_workspace/repo", {"X_Gitlab_Token": "other"}),
        ("/hooks/_workspace/repo", {"X_Gitlab_Token": ""}),
        ("/hooks/_workspace/none", {"X_Gitlab_Token": HOOK}),
        ("/hooks/_workspace/shop", {"X_Gitlab_Token": ""}),
    ]
    answers = [
        problem_in(git.post(path, body, **headers), 404, "not-found") for path, headers in wrong
    ]
    assert all(answer == answers[0] for answer in answers)


def test_a_source_without_a_hook_secret_hears_nobody(git):
    git.repository.commit(ONE)
    put(git, hook_secret=None)
    answer = git.post("/hooks/_workspace/repo", b"{}", X_Gitlab_Token="")
    assert answer.status_code == 404


# folders


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


# revisions


def push(world, files, ws="pushed", **given):
    upload = world.post(f"/api/workspaces/{ws}/uploads").json_body
    tree = WorkspaceTree({path: SourceFile(text.encode()) for path, text in files.items()})
    world.engine.blobs.put(f"uploads/{upload['upload_id']}.tar.gz", pack(tree))
    body = {"upload_id": upload["upload_id"], **given}
    answer = world.post(f"/api/workspaces/{ws}/revisions", body)
    assert answer.status_code == 200, answer.body
    later(world, 1)
    return answer.json_body["revision"]


def history(world, ws="pushed"):
    items = world.get(f"/api/workspaces/{ws}/revisions").json_body["items"]
    return [(one["revision"], one["kind"], one["in_force"]) for one in items]


def test_an_earlier_revision_is_put_in_force_again_and_that_is_recorded(world):
    one, two = push(world, ONE), push(world, TWO, message="to two")
    assert history(world) == [(two, "push", True), (one, "push", False)]
    back = world.post("/api/workspaces/pushed/rollback").json_body
    assert back == {"workspace": "pushed", "revision": one, "changed": True}
    assert tasks(world, "pushed") == ["one"]
    assert history(world) == [
        (one, "rollback", True),
        (two, "push", False),
        (one, "push", True),
    ]
    again = world.post("/api/workspaces/pushed/rollback", {"revision": two}).json_body
    assert (again["changed"], tasks(world, "pushed")) == (True, ["two"])
    items = world.get("/api/workspaces/pushed/revisions").json_body["items"]
    assert items[0]["message"] == f"instead of {one}"
    assert items[0]["by"]


def test_a_rollback_to_what_is_not_there_changes_nothing(world):
    push(world, ONE)
    for body in ({}, {"revision": "ab" * 20}):
        assert world.post("/api/workspaces/pushed/rollback", body).status_code == 404
    assert tasks(world, "pushed") == ["one"]


def test_a_poll_does_not_undo_a_rollback_but_the_next_commit_does(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    later(git)
    poll(git.engine, git.clock.now())
    git.post("/api/workspaces/repo/rollback")
    later(git)
    poll(git.engine, git.clock.now())
    assert tasks(git) == ["one"]
    git.repository.commit({**TWO, "more.txt": "x"})
    later(git)
    poll(git.engine, git.clock.now())
    assert tasks(git) == ["two"]


def test_two_revisions_are_told_apart_by_tasks_and_files(world):
    one, two = push(world, ONE), push(world, TWO)
    found = world.get("/api/workspaces/pushed/diff").json_body
    assert (found["before"], found["after"]) == (one, two)
    assert found["sections"]["tasks"] == {"added": ["two"], "changed": [], "removed": ["one"]}
    assert found["sections"]["files"] == {
        "added": ["other.txt"],
        "changed": ["shop.yaml"],
        "removed": ["run.sh"],
    }
    assert found["sections"]["actions"] == {"added": [], "changed": [], "removed": []}
    same = world.get(f"/api/workspaces/pushed/diff?from={two}&to={two}").json_body
    assert not any(any(section.values()) for section in same["sections"].values())


def test_a_change_inside_an_inline_step_is_a_change_of_its_task(world):
    push(world, ONE)
    push(world, {**ONE, "shop.yaml": ONE["shop.yaml"].replace("echo 1", "echo 9")})
    sections = world.get("/api/workspaces/pushed/diff").json_body["sections"]
    assert sections["tasks"]["changed"] == ["one"]


def test_a_manifest_shows_digests_and_no_content(world):
    shop = {"shop.yaml": "secrets: {API: hunter2-of-the-shop}\n" + ONE["shop.yaml"]}
    push(world, shop)
    found = world.get("/api/workspaces/pushed/manifest").json_body
    assert list(found["sections"]["tasks"]) == ["one"]
    assert "hunter2" not in json.dumps(found)


# the tick


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
