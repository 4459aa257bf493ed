"""Workspaces: lists, refresh, publishing over HTTP."""

from __future__ import annotations

import pytest

from chalicelib.domain import keys
from chalicelib.workspaces.tarball import pack
from tests.api.world import SHOP, a_tree, problem_in

BROKEN = "tasks:\n  one:\n    flow:\n      only: {action: nope}\n"


def the_row(world, name, **given):
    return {
        "name": name,
        "tasks_count": 4,
        "actions_count": 1,
        "triggers_count": 3,
        "connections_count": 1,
        "revision": world.engine.registry.workspace(name).revision,
        **given,
    }


def test_workspaces_are_listed_by_name(world):
    world.publish("attic")
    assert world.get("/api/workspaces").json_body == [
        the_row(world, "attic"),
        the_row(world, "shop"),
    ]


def test_a_workspace_shows_what_is_wrong_with_it(world):
    world.publish("shop", BROKEN)
    row = world.get("/api/workspaces").json_body[0]
    assert row.pop("error").startswith("shop.yaml:4:")
    assert row == the_row(world, "shop")


def test_a_workspace_shows_its_warnings(world):
    world.publish("shop", SHOP + "taskz: {}\n")
    row = world.get("/api/workspaces").json_body[0]
    assert ["taskz" in warning for warning in row["warnings"]] == [True]


@pytest.fixture
def folder(world, tmp_path):
    """The folder of the workspace `local`."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    world.publish("local", source=str(tmp_path))
    world.clock.tick(60)
    return tmp_path


def test_a_folder_is_read_again(world, folder):
    before = world.engine.registry.workspace("local").revision
    (folder / "shop.yaml").write_text(SHOP.replace("Ship it", "Ship it now"))
    answer = world.post("/api/workspaces/local/refresh").json_body
    now = world.engine.registry.workspace("local").revision
    assert answer == {"workspace": "local", "revision": now, "refreshed": True}
    assert now != before


def test_a_folder_is_not_read_again_at_once(world, folder):
    world.post("/api/workspaces/local/refresh")
    world.clock.tick(3.5)
    answer = world.post("/api/workspaces/local/refresh")
    problem_in(answer, 429, "rate-limited")
    assert answer.headers["Retry-After"] == "2"
    world.clock.tick(1.5)
    assert world.post("/api/workspaces/local/refresh").status_code == 200


def test_a_broken_folder_keeps_the_good_revision_and_says_what_is_wrong(world, folder):
    before = world.engine.registry.workspace("local").revision
    (folder / "shop.yaml").write_text(BROKEN)
    problem = problem_in(world.post("/api/workspaces/local/refresh"), 422, "workspace-invalid")
    assert f"revision {before} stays in force" in problem["detail"]
    assert world.engine.registry.workspace("local").revision == before


def test_a_workspace_without_a_folder_here_is_not_refreshed(world, tmp_path):
    world.publish("gone", source=str(tmp_path / "gone"))
    for name in ("shop", "gone"):
        assert world.post(f"/api/workspaces/{name}/refresh").json_body == {
            "workspace": name,
            "revision": world.engine.registry.workspace(name).revision,
            "refreshed": False,
        }


@pytest.mark.parametrize("name", ["nope", "%2e%2e", "a.b"])
def test_an_unknown_workspace_is_not_refreshed(world, name):
    problem_in(world.post(f"/api/workspaces/{name}/refresh"), 404, "not-found")


def an_upload(world, name, content):
    answer = world.post(f"/api/workspaces/{name}/uploads")
    assert answer.status_code == 201
    world.engine.blobs.put(keys.upload_blob(answer.json_body["upload_id"]), content)
    return {"upload_id": answer.json_body["upload_id"]}


def test_an_upload_has_an_address_of_its_own(world):
    first = world.post("/api/workspaces/new/uploads").json_body
    upload_id = first["upload_id"]
    assert first == {
        "upload_id": upload_id,
        "url": f"memory:uploads/{upload_id}.tar.gz?expires=300",
        "expires_in_s": 300,
    }
    assert world.post("/api/workspaces/new/uploads").json_body["upload_id"] != upload_id


def test_an_upload_becomes_the_revision_in_force(world):
    body = an_upload(world, "new", pack(a_tree()))
    answer = world.post("/api/workspaces/new/revisions", body)
    assert answer.json_body == {
        "workspace": "new",
        "revision": world.engine.registry.workspace("new").revision,
        "changed": True,
        "warnings": [],
    }
    assert world.execute("one", ws="new")
    problem_in(world.post("/api/workspaces/new/revisions", body), 404, "not-found")


def test_the_same_files_again_change_nothing_and_warnings_are_told(world):
    files = pack(a_tree(SHOP + "taskz: {}\n"))
    for changed in (True, False):
        answer = world.post("/api/workspaces/new/revisions", an_upload(world, "new", files))
        assert answer.json_body["changed"] is changed
        assert len(answer.json_body["warnings"]) == 1


def test_a_broken_upload_says_every_fault_and_the_good_revision_stays(world):
    before = world.engine.registry.workspace("shop").revision
    body = an_upload(world, "shop", pack(a_tree(BROKEN)))
    problem = problem_in(
        world.post("/api/workspaces/shop/revisions", body), 422, "workspace-invalid"
    )
    fault = problem["errors"][0]
    assert fault == {
        "pointer": f"shop.yaml:4:{fault['column']}",
        "message": fault["message"],
        "file": "shop.yaml",
        "line": 4,
        "column": fault["column"],
        "path": "tasks.one.flow.only.action",
        "fix": fault["fix"],
    }
    assert "nope" in fault["message"]
    assert world.engine.registry.workspace("shop").revision == before


def test_an_upload_that_is_no_archive_is_refused(world):
    body = an_upload(world, "new", b"no gzip at all")
    problem_in(world.post("/api/workspaces/new/revisions", body), 400, "invalid")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/upload_id"),
        ({"upload_id": 7}, "/upload_id"),
        ({"upload_id": "x", "revison": 1}, "/revison"),
    ],
)
def test_a_wrong_request_to_publish_is_refused_where_it_is_wrong(world, body, pointer):
    problem = problem_in(world.post("/api/workspaces/new/revisions", body), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_what_is_no_upload_id_is_refused(world):
    answer = world.post("/api/workspaces/new/revisions", {"upload_id": "../../jobs/secret"})
    assert "is not the id of an upload" in problem_in(answer, 400, "invalid")["detail"]


@pytest.mark.parametrize("name", ["%2e%2e", "-a", "a.b", "a" * 65])
def test_what_cannot_name_a_workspace_gets_no_upload(world, name):
    problem_in(world.post(f"/api/workspaces/{name}/uploads"), 400, "invalid")
    answer = world.post(f"/api/workspaces/{name}/revisions", {"upload_id": "x"})
    problem_in(answer, 400, "invalid")
