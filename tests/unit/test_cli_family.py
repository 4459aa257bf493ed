"""`stroem run` lasts until the sub-jobs, hooks and next tries of its job have ended too."""

from __future__ import annotations

import json

import pytest

from tests.fakes.command import Command, write

FAMILY = """
on_error:
  - { action: tell, input: { text: "{{ hook.error_message }}" } }
  - { action: tell, input: { text: "{{ hook.none }}" } }
actions:
  tell: { type: script, script: "echo told {{ input.text | quote }}", input: { text: {} } }
  low: { type: task, task: low }
tasks:
  top:
    retry: { max_attempts: 2, delay: 1s }
    flow:
      turns:
        action: low
        retry: { max_attempts: 2, delay: 1s }
        for_each: [0, 1]
        input: { n: "{{ each.item }}" }
  well: { flow: { call: { action: low, input: { n: 0 } } } }
  low:
    input: { n: { type: integer } }
    flow:
      s:
        type: script
        script: |
          echo n={{ input.n }}
          echo 'OUTPUT: {"n": {{ input.n }}}'
          test {{ input.n }} = 0
        input: { n: "{{ input.n }}" }
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    write(tmp_path, all=FAMILY)
    stroem = Command(monkeypatch)
    return lambda *given: stroem("run", *given, "--path", tmp_path)


def test_the_output_of_a_sub_job_is_that_of_its_step(run):
    ran = run("well", "-o", "json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["output"] == {"call": {"s": {"n": 0}}}


def test_steps_and_tasks_are_tried_again_and_hooks_run_at_the_end(run):
    ran = run("top")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert (lines.count("s: n=1"), lines.count("s: n=0")) == (4, 2)
    assert lines[-1] == "tell: told Step 'turns': for_each loop failed: instances [1]"
    assert "Hook on_error[1] ('tell') did not fire: template error" in ran.err
