"""Verbs for where workspaces come from and what they were: the real app, on a real port."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib import settings, wiring
from chalicelib.store.memory_sources import MemorySources
from tests.fakes.command import Command, write
from tests.fakes.git_server import Repository, serving
from tests.fakes.stack import a_stack

ONE = "tasks: {one: {flow: {s: {type: script, script: echo 1}}}}\n"
TWO = "tasks: {two: {flow: {s: {type: script, script: echo 2}}}}\n"
LIB = "actions: {greet: {type: script, script: echo hi}}\n"


@pytest.fixture(scope="module")
def stack():
    with a_stack() as running:
        wiring.use(replace(wiring.engine(), sources=MemorySources()))
        yield running


@pytest.fixture
def stroem(monkeypatch, stack, tmp_path):
    monkeypatch.setenv("STROEM_URL", stack.url)
    monkeypatch.setenv("STROEM_FOLDERS", str(tmp_path))
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    settings.folder_roots.cache_clear()
    yield Command(monkeypatch)
    settings.folder_roots.cache_clear()


def test_a_workspace_is_pushed_compared_rolled_back_and_its_history_shown(stroem, tmp_path):
    one = write(tmp_path / "one", shop=ONE)
    two = write(tmp_path / "two", shop=TWO)
    assert stroem("workspace", "diff", one, "-w", "w1").code == 3
    for folder, said in ((one, "first"), (two, "second")):
        assert stroem("workspace", "push", folder, "--workspace", "w1", "-m", said).code == 0
    told = stroem("workspace", "diff", one, "-w", "w1").out.splitlines()
    assert told == ["+ task one", "- task two", "~ file .workflows/shop.yaml"]
    same = stroem("workspace", "diff", two, "-w", "w1")
    assert (same.out, same.err.strip()) == ("", "no difference")
    last = json.loads(stroem("workspace", "diff", "-w", "w1", "-o", "json").out)
    assert last["tasks"] == {"added": ["two"], "changed": [], "removed": ["one"]}
    before = json.loads(stroem("workspace", "history", "-w", "w1", "-o", "json").out)
    assert [row["message"] for row in before] == ["second", "first"]
    start = before[1]["revision"][:8]
    assert "in force again" in stroem("workspace", "rollback", start, "-w", "w1").out
    shown = stroem("workspace", "history", "-w", "w1").out.splitlines()
    assert "rollback" in shown[1]
    assert shown[1].startswith("*")


def test_a_rollback_names_at_least_six_characters(stroem):
    ran = stroem("workspace", "rollback", "abc", "-w", "w1")
    assert (ran.code, "too short" in ran.err) == (2, True)


def test_a_workspace_from_git_is_added_refreshed_and_let_go(stroem):
    repository = Repository()
    repository.commit({"shop.yaml": ONE}, "First")
    with serving(repository) as server:
        ran = stroem("workspace", "add", "w2", "--git", server.url, "--ref", "main")
        assert ran.code == 0, ran.err
        assert f"w2: {server.url} at main, revision " in ran.out
        assert stroem("workspace", "refresh", "w2").code != 0
        assert "Ann Example" in stroem("workspace", "history", "-w", "w2").out
        assert "w2" in stroem("workspace", "list").out
        assert stroem("workspace", "remove", "w2").code == 0
    ran = stroem("workspace", "refresh", "w2")
    assert "it is pushed" in ran.out


def test_a_source_with_trouble_is_kept_and_told(stroem):
    ran = stroem("workspace", "add", "w3", "--git", "http://127.0.0.1:9/x.git")
    assert (ran.code, "kept, but git at 127.0.0.1" in ran.err) == (2, True)
    ran = stroem("workspace", "add", "w3", "--git", "https://g.example/x", "--git-token", "clear")
    assert ran.code == 2
    assert "no reference" in ran.err


def test_git_and_folder_at_once_are_refused(stroem, tmp_path):
    ran = stroem("workspace", "add", "w4", "--git", "https://x/y", "--folder", tmp_path)
    assert (ran.code, "name one of the two" in ran.err) == (2, True)
    assert stroem("library", "add", "l4").code == 2


def test_a_library_is_added_listed_used_and_removed(stroem, tmp_path):
    folder = write(tmp_path / "lib", lib=LIB)
    ran = stroem("library", "add", "lib", "--folder", folder)
    assert ran.code == 0, ran.err
    assert "lib" in stroem("library", "list").out
    shop = write(tmp_path / "w5", shop="tasks: {t: {flow: {s: {action: lib.greet}}}}\n")
    assert stroem("workspace", "push", shop, "-w", "w5").code == 0
    assert stroem("library", "refresh", "lib").code == 0
    assert "removed" in stroem("library", "remove", "lib").out
    assert "lib " not in stroem("library", "list").out
