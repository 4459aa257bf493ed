"""`stroem acl`, `roles` and `audit` against the real app."""

import json

import pytest

from tests.fakes.command import Command, write
from tests.fakes.stack import a_stack

SHOP = """
actions: {say: {type: script, script: "true", env: {LINES: "hej"}}}
tasks: {ship: {folder: ops, flow: {build: {action: say}}}}
"""
LIST = """
acl:
  default: deny
  rules:
    - {workspace: shop, tasks: ["ops/*"], action: run, groups: [makers], users: [a@example.com]}
    - {workspace: "*", action: view, groups: ["*"]}
"""


@pytest.fixture
def stroem(monkeypatch, tmp_path):
    with a_stack() as stack:
        monkeypatch.setenv("STROEM_URL", stack.url)
        monkeypatch.delenv("STROEM_TOKEN", raising=False)
        command = Command(monkeypatch)
        made = command("workspace", "push", write(tmp_path, shop=SHOP), "--name", "shop")
        assert made.code == 0
        yield command


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "acl.yaml"
    path.write_text(LIST)
    return path


def test_a_list_is_set_shown_tried_and_taken_away(stroem, file):
    assert "everybody may run everything" in stroem("acl", "show").out
    assert stroem("acl", "set", "-f", file).code == 0
    shown = stroem("acl", "show").out
    assert "ops/*" in shown
    assert "default: deny" in shown
    assert stroem("acl", "check", "A@example.com", "shop", "ship").out == "run (rules 0, 1)\n"
    assert stroem("acl", "check", "b@x", "shop", "ship").out == "view (rules 1)\n"
    assert stroem("acl", "check", "b@x", "shop", "ship", "-g", "makers").out.startswith("run")
    found = json.loads(stroem("acl", "show", "-o", "json").out)
    assert found["acl"]["rules"][1]["tasks"] == ["*"]
    assert stroem("acl", "set", "-f", file).code == 0
    assert stroem("acl", "set", "--none").code == 0
    assert "everybody" in stroem("acl", "show").out


def test_a_wrong_list_is_refused_with_each_place(stroem, file):
    file.write_text("rules:\n  - {workspace: shop, action: stop, users: []}\n")
    ran = stroem("acl", "set", "-f", file)
    assert ran.code == 2
    assert "/rules/0/action" in ran.err
    assert "/rules/0:" in ran.err


def test_what_is_no_yaml_is_not_sent(stroem, file):
    file.write_text("rules: [")
    ran = stroem("acl", "set", "-f", file)
    assert ran.code == 2
    assert "acl.yaml:1" in ran.err
    assert stroem("acl", "set", "-f", file.with_name("none.yaml")).code == 2
    assert stroem("acl", "set").code == 2
    assert stroem("acl", "set", "--none", "-f", file).code == 2


def test_roles_are_listed_written_and_removed(stroem):
    assert "admin" in stroem("roles", "list").out
    ran = stroem("roles", "set", "night", "-p", "job:read", "-p", "execution:stop")
    assert ran.out == "night: execution:stop job:read\n"
    rows = json.loads(stroem("roles", "list", "-o", "json").out)["items"]
    assert [row["name"] for row in rows] == ["admin", "user", "night"]
    assert stroem("roles", "remove", "night").code == 0
    assert stroem("roles", "remove", "night").code == 3
    assert stroem("roles", "set", "admin", "-p", "job:read").code == 2


def test_what_was_done_is_listed_and_checked(stroem):
    stroem("roles", "set", "night", "-p", "job:read")
    stroem("roles", "remove", "night")
    listed = stroem("audit", "--action", "put_role").out
    assert "/api/roles/night" in listed
    assert "delete_role" not in listed
    rows = json.loads(stroem("audit", "-n", "1", "-o", "json").out)
    assert [row["action"] for row in rows] == ["delete_role"]
    ran = stroem("audit", "--check", rows[0]["at"][:10])
    assert ran.code == 0
    assert "0 faults" in ran.out
    assert stroem("audit", "--result", "none").code == 2
