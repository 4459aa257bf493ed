"""Which files of a workspace are read, and how they become one."""

from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.workflow import Hook

OK = "actions: { ok: { type: script, script: 'true' } }\n"


def tree(**files):
    return WorkspaceTree({path: SourceFile(text.encode()) for path, text in files.items()})


def task(name):
    return f"tasks: {{ {name}: {{ flow: {{ s: {{ action: ok }} }} }} }}\n"


def test_only_the_workflows_directory_is_read_if_there_is_one():
    files = {".workflows/a.yaml": OK, "b.yaml": "nonsense: [", "c/d.yaml": "nonsense: ["}
    loaded = read_workspace(tree(**files))
    assert loaded.findings == ()
    assert list(loaded.definition.actions) == ["ok"]


def test_both_suffixes_are_read_at_any_depth_and_a_directory_is_the_folder():
    files = {"a.yaml": OK + task("one"), "ops/b.yml": task("two"), "ops/db/c.yaml": task("three")}
    tasks = read_workspace(tree(**files)).definition.tasks
    assert {key: task.folder for key, task in tasks.items()} == {
        "one": None,
        "two": "ops",
        "three": "ops/db",
    }


def test_a_folder_that_is_written_wins_over_the_directory():
    text = "tasks: { t: { folder: mine, flow: { s: { action: ok } } } }"
    loaded = read_workspace(tree(**{"a.yaml": OK, ".x/y.yaml": "?", "ops/b.yaml": text}))
    assert loaded.definition.tasks["t"].folder == "mine"


def test_other_files_and_hidden_directories_are_left_alone():
    files = {
        "a.yaml": OK,
        ".github/ci.yml": "jobs: 1",
        ".sops.yaml": "x: [",
        "b.json": "{",
        "c.yaml.bak": "[",
    }
    assert read_workspace(tree(**files)).findings == ()


def test_too_deep_files_and_sops_files_that_are_not_encrypted_are_warned_of():
    deep = "/".join("abcdefghijk") + "/x.yaml"
    files = {"a.yaml": OK, "s.sops.yaml": "secrets: { K: plain }", deep: "x: ["}
    loaded = read_workspace(tree(**files))
    assert [(f.file, f.line) for f in loaded.warnings] == [(deep, 1), ("s.sops.yaml", 1)]
    assert loaded.ok


def test_a_later_file_replaces_an_entry_and_the_finding_names_both_places():
    second = "actions:\n  ok: { type: script, script: 'false' }\n"
    loaded = read_workspace(tree(**{"a.yaml": OK, "b.yaml": second}))
    assert loaded.definition.actions["ok"].script == "false"
    (warning,) = loaded.findings
    assert (warning.file, warning.line, warning.column) == ("b.yaml", 2, 3)
    assert warning.reason == "replaces the `ok` of a.yaml:1"


def test_maps_are_joined_and_so_are_the_workspaces_hooks():
    hook = "on_error: [{ action: ok, input: { n: %d } }]\n"
    files = {
        "a.yaml": OK + hook % 1 + "secrets: { a: x }",
        "b.yaml": hook % 2 + "secrets: { b: y }",
    }
    found = read_workspace(tree(**files)).definition
    assert found.hooks.on_error == (
        Hook(action="ok", input={"n": 1}),
        Hook(action="ok", input={"n": 2}),
    )
    assert found.secrets == {"a": "x", "b": "y"}


def test_a_fault_in_the_second_files_hook_is_found_there():
    files = {"a.yaml": OK + "on_error: [{ action: ok }]", "b.yaml": "\non_error: [{ action: no }]"}
    (finding,) = read_workspace(tree(**files)).findings
    assert (finding.file, finding.line, finding.path) == ("b.yaml", 2, "on_error[1].action")


def test_one_broken_file_keeps_the_workspace_from_loading():
    loaded = read_workspace(tree(**{"a.yaml": OK, "b.yaml": "actions: ["}))
    assert loaded.definition is None
    assert not loaded.ok


def test_a_workspace_without_files_is_empty_and_fine():
    loaded = read_workspace(WorkspaceTree())
    assert loaded.ok
    assert loaded.definition.tasks == {}


def test_keys_that_begin_with_x_are_the_authors_own():
    assert list(
        read_workspace(tree(**{"w.yaml": "x-shared: &a [1]\n" + OK})).definition.actions
    ) == ["ok"]
