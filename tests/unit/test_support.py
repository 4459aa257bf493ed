"""What is refused when a job is created, and the sentence that says why."""

from __future__ import annotations

import pytest

from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.support import unsupported

PLAIN = 'type: script, script: "true"'


def reasons(text):
    loaded = read_workspace(WorkspaceTree({"w.yaml": SourceFile(text.encode())}))
    definition = loaded.require()
    return unsupported(definition, definition.tasks["t"])


def test_a_task_of_local_scripts_has_nothing_against_it():
    assert reasons(f"tasks: {{ t: {{ flow: {{ s: {{ {PLAIN} }} }} }} }}") == []


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("retry: { max_attempts: 2 }", "retry of a whole task is not executed yet"),
        ("timeout: 1h", "timeout of a whole task is not executed yet"),
        ("on_error: [{ action: a }]", "on_error hooks are not executed yet"),
    ],
)
def test_what_a_task_may_not_ask_for_yet(keys, reason):
    actions = f"actions: {{ a: {{ {PLAIN} }} }}"
    text = f"{actions}\ntasks: {{ t: {{ {keys}, flow: {{ s: {{ action: a }} }} }} }}"
    assert reasons(text) == [reason]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (f'{PLAIN}, when: "{{{{ true }}}}"', "step 's' has `when`, which is not executed yet"),
        (f"{PLAIN}, for_each: [1]", "step 's' has `for_each`, which is not executed yet"),
        (
            "type: docker, image: alpine",
            "step 's' is of type docker, which is not executed yet",
        ),
        (
            "type: approval, message: ok?",
            "step 's' is of type approval, which is not executed yet",
        ),
        (
            f"{PLAIN}, runner: docker",
            "step 's' asks for the runner docker, which is not executed yet",
        ),
        (
            f"{PLAIN}, tags: [gpu]",
            "step 's' asks for workers by tags, which are not matched yet",
        ),
        (
            "action: other.thing",
            "step 's' uses the action 'other.thing' of another workspace or library",
        ),
    ],
)
def test_what_a_step_may_not_ask_for_yet(keys, reason):
    assert reasons(f"tasks: {{ t: {{ flow: {{ s: {{ {keys} }} }} }} }}") == [reason]


def test_a_workspaces_hooks_count_unless_the_task_has_its_own_list():
    text = (
        f"on_error: [{{ action: a }}]\nactions: {{ a: {{ {PLAIN} }} }}\n"
        "tasks: { t: { KEYS flow: { s: { action: a } } } }"
    )
    of_workspace = ["on_error hooks of the workspace are not executed yet"]
    assert reasons(text.replace("KEYS", "")) == of_workspace
    assert reasons(text.replace("KEYS", "on_error: [],")) == []
