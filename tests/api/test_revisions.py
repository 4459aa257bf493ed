"""Revisions of a workspace, over the API: the way back, and how two differ."""

from __future__ import annotations

import json

from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.workspaces.sources import poll
from chalicelib.workspaces.tarball import pack
from tests.api.sources import ONE, TWO, later, put, tasks


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
