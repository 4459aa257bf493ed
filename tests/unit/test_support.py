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
        (
            "type: docker, image: alpine",
            "step 's' is of type docker, which is not executed yet",
        ),
        (
            f"{PLAIN}, runner: docker",
            "step 's' asks for the runner docker, which is not executed yet",
        ),
        (
            f"{PLAIN}, tags: [a-tag-that-is-longer, than-the-name-of-a-queue]",
            "step 's' asks for more tags, or longer ones, than the name of a queue has room for",
        ),
        (
            "action: other.thing",
            "step 's' uses the action 'other.thing' of another workspace or library",
        ),
    ],
)
def test_what_a_step_may_not_ask_for_yet(keys, reason):
    assert reasons(f"tasks: {{ t: {{ flow: {{ s: {{ {keys} }} }} }} }}") == [reason]


def test_what_a_sub_job_may_not_ask_for_yet_counts_too_however_deep_it_lies():
    text = (
        "actions: { b: { type: task, task: b }, t: { type: task, task: t } }\n"
        "tasks:\n"
        "  t: { flow: { s: { type: task, task: a } } }\n"
        "  a: { flow: { s: { action: b } } }\n"
        "  b: { flow: { s: { action: t }, d: { type: docker, image: alpine } } }\n"
    )
    assert reasons(text) == ["step 'd' of task 'b' is of type docker, which is not executed yet"]


def test_what_hooks_ask_for_keeps_no_task_from_running():
    text = (
        "on_error: [{ action: a }]\nactions: { a: { type: docker, image: alpine } }\n"
        f"tasks: {{ t: {{ retry: {{ max_attempts: 2 }}, flow: {{ s: {{ {PLAIN} }} }} }} }}"
    )
    assert reasons(text) == []
