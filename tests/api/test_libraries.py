"""Libraries: what every workspace has from them, under a prefix, and what stays out."""

from __future__ import annotations

import json

import pytest

from chalicelib import settings
from chalicelib.workspaces.tarball import unpack
from tests.api.world import problem_in

LIB = """
secrets: {API: of-the-library}
connection_types:
  db: {host: {type: string}}
connections: {main: {type: db, host: library.example}}
actions:
  greet:
    type: script
    source: scripts/greet.sh
    env: {TOKEN: "{{ secret.API }}", HOST: "{{ input.into.host }}"}
    input: {into: {type: db}}
  nest: {type: task, task: inner}
tasks:
  inner:
    input: {into: {type: db}}
    flow:
      plain: {action: greet, input: {into: "{{ input.into }}"}}
      spelled: {type: script, script: echo inline, depends_on: [plain]}
    on_success: [{action: greet}]
triggers: {tick: {type: scheduler, cron: "0 2 * * *", task: inner}}
on_error: [{action: greet}]
"""
SHOP = """
secrets: {API: of-the-shop}
connections: {own: {type: lib.db, host: shop.example}}
actions:
  greet: {type: script, script: echo own}
tasks:
  use:
    flow:
      one: {action: lib.greet, input: {into: own}}
      two: {action: greet, depends_on: [one]}
  call:
    flow: {sub: {type: task, task: lib.inner, input: {into: own}}}
"""


@pytest.fixture
def lib(world, tmp_path, monkeypatch):
    """A library in a folder that may be read, and a workspace that uses it."""
    monkeypatch.setenv("STROEM_FOLDERS", str(tmp_path))
    settings.folder_roots.cache_clear()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "lib.yaml").write_text(LIB)
    script = tmp_path / "scripts" / "greet.sh"
    script.write_text("echo greet\n")
    script.chmod(0o755)
    world.folder = tmp_path
    put(world)
    published = world.publish("user", SHOP)
    assert published.ok, published.findings
    yield world
    settings.folder_roots.cache_clear()


def put(world, name="lib"):
    answer = world.put(f"/api/libraries/{name}", {"kind": "folder", "path": str(world.folder)})
    assert answer.status_code == 200, answer.body
    assert "trouble" not in answer.json_body
    return answer.json_body


def refresh(world):
    world.clock.tick(6)
    return world.post("/api/libraries/lib/refresh").json_body


def definition(world, ws="user"):
    revision = world.engine.registry.workspace(ws).revision
    return world.engine.definitions.load(ws, revision)


def test_actions_tasks_and_types_come_under_the_prefix_and_the_rest_stays_out(lib):
    found = definition(lib)
    assert {"greet", "lib.greet", "lib.nest", "_inline:lib.inner:spelled"} <= set(found.actions)
    assert set(found.tasks) == {"use", "call", "lib.inner"}
    assert set(found.connection_types) == {"lib.db"}
    assert found.actions["lib.greet"].source == "_libraries/lib/scripts/greet.sh"
    assert found.actions["lib.greet"].input["into"].type == "lib.db"
    assert found.actions["lib.nest"].task == "lib.inner"
    assert found.tasks["lib.inner"].flow["plain"].action == "lib.greet"
    assert found.secrets == {"API": "of-the-shop"}
    assert set(found.connections) == {"own"}
    assert found.triggers == {}
    assert found.hooks.on_error is None
    assert found.tasks["lib.inner"].hooks.on_success is None


def test_an_action_of_a_library_runs_with_the_files_of_its_archive(lib):
    lib.execute("use", ws="user")
    worker = lib.worker()
    claimed = lib.claim(worker)
    assert claimed["workspace"] == "user"
    assert claimed["action_spec"]["source"] == "_libraries/lib/scripts/greet.sh"
    assert claimed["action_spec"]["env"] == {"TOKEN": "of-the-shop", "HOST": "shop.example"}
    archive = lib.get(f"/worker/workspace/user.tar.gz?revision={claimed['revision']}").body
    file = unpack(archive).files["_libraries/lib/scripts/greet.sh"]
    assert (file.content, file.executable) == (b"echo greet\n", True)
    lib.complete(claimed)
    assert lib.claim(worker)["action_spec"]["script"] == "echo own"


def test_a_task_of_a_library_runs_as_a_sub_job_and_by_itself(lib):
    lib.execute("call", ws="user")
    worker = lib.worker()
    assert lib.claim(worker)["task_name"] == "lib.inner"
    lib.execute("lib.inner", ws="user", given={"into": "own"})
    assert lib.claim(worker)["task_name"] == "lib.inner"


def test_a_new_state_of_a_library_reaches_every_workspace(lib):
    before = lib.engine.registry.workspace("user").revision
    (lib.folder / "lib.yaml").write_text(LIB + "  # changed\n" + "notify: []\n")
    (lib.folder / "scripts" / "greet.sh").write_text("echo again\n")
    refresh(lib)
    after = lib.engine.registry.workspace("user").revision
    assert after != before
    items = lib.get("/api/workspaces/user/revisions").json_body["items"]
    assert (items[0]["kind"], items[0]["message"]) == ("library", "library lib changed")
    archive = lib.get("/worker/workspace/user.tar.gz").body
    assert unpack(archive).files["_libraries/lib/scripts/greet.sh"].content == b"echo again\n"


def test_a_broken_state_of_a_library_replaces_nothing_and_is_told_by_file_and_line(lib):
    before = lib.engine.registry.workspace("user").revision
    (lib.folder / "lib.yaml").write_text("tasks:\n  t: {flow: {s: {action: nothing}}}\n")
    shown = refresh(lib)
    assert shown["trouble"].startswith("lib.yaml:2:")
    assert lib.engine.registry.workspace("user").revision == before


def test_a_library_that_takes_away_what_a_workspace_uses_leaves_it_as_it_was(lib):
    before = lib.engine.registry.workspace("user").revision
    (lib.folder / "lib.yaml").write_text("actions: {greeting: {type: script, script: echo hi}}\n")
    refresh(lib)
    record = lib.engine.registry.workspace("user")
    assert record.revision == before
    assert "lib" in record.error


def test_an_action_that_the_library_does_not_have_is_an_error_with_a_hint(lib):
    text = "tasks:\n  t:\n    flow:\n      s: {action: lib.greed}\n"
    published = lib.publish("other", text)
    (fault,) = [finding for finding in published.findings if finding.severity == "error"]
    assert fault.reason == "the library `lib` has no action `lib.greed`"
    assert (fault.line, "lib.greet" in (fault.fix or "")) == (4, True)


def test_a_library_wins_over_a_workspace_of_its_name(lib):
    assert lib.publish("lib", "actions: {greet: {type: script, script: echo theirs}}").ok
    lib.execute("use", ws="user")
    claimed = lib.claim(lib.worker())
    assert claimed["workspace"] == "user"
    assert lib.engine.jobs.get(claimed["job_id"]).pins == ()


def test_a_library_may_be_removed_and_who_uses_it_keeps_what_there_is(lib):
    assert lib.publish("plain", "actions: {a: {type: script, script: echo}}").ok
    assert "lib.greet" in definition(lib, "plain").actions
    assert lib.delete("/api/libraries/lib").status_code == 200
    assert "lib.greet" not in definition(lib, "plain").actions
    assert "lib.greet" in definition(lib).actions
    assert lib.get("/api/libraries").json_body == {"items": []}


def test_a_pushed_archive_brings_no_files_of_libraries_of_its_own(lib):
    before = lib.engine.registry.workspace("user").revision
    archive = unpack(lib.get("/worker/workspace/user.tar.gz").body)
    assert any(path.startswith("_libraries/") for path in archive.files)
    from chalicelib.workspaces.publish import publish  # noqa: PLC0415 - what a push ends in

    assert publish(lib.engine, "user", archive).revision == before


def test_a_library_is_not_pushed_and_its_name_is_that_of_a_workspace(world):
    refused = world.put("/api/libraries/lib", {"kind": "push"})
    assert "from git or from a folder" in problem_in(refused, 400, "invalid")["detail"]
    refused = world.put("/api/libraries/a.b", {"kind": "git", "url": "https://g.example/x"})
    assert refused.status_code == 400


def test_nothing_of_a_library_shows_its_secrets(lib):
    assert "of-the-library" not in json.dumps(lib.get("/api/libraries").json_body)
