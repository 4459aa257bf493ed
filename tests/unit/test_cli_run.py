"""`stroem run` in this process: the same engine, processes for steps, an outcome to rely on."""

import json

import pytest

from tests.fakes.command import Command, write

WORKFLOWS = """
tasks:
  hello:
    input: {name: {type: string, default: Åse}, count: {type: integer, default: 1}}
    flow:
      make:
        type: script
        env: {NAME: "{{ input.name }}", COUNT: "{{ input.count }}"}
        script: |
          echo "hei $NAME"
          echo warned >&2
          echo "OUTPUT: {\\"sum\\": $((COUNT + 1)), \\"name\\": \\"$NAME\\"}"
      use:
        type: script
        depends_on: [make]
        input: {sum: "{{ make.output.sum }}"}
        env: {SUM: "{{ input.sum }}"}
        script: 'echo "OUTPUT: {\\"got\\": $SUM}"'
  bad:
    flow:
      breaks: {type: script, script: "echo oops >&2; exit 3"}
      never: {type: script, script: "true", depends_on: [breaks]}
      beside: {type: script, script: "true"}
  torn:
    flow: {only: {type: script, script: "echo {{ throw(message='torn apart') }}"}}
  tried:
    flow:
      again:
        type: script
        script: '[ "$STROEM_ATTEMPT" = 2 ]'
        retry: {max_attempts: 3, delay: 1s}
  escape:
    flow: {only: {type: script, script: 'printf "\\033[2J\\a done\\n"'}}
  urgent:
    priority: high
    concurrency: 1
    flow: {far: {type: script, script: "echo far", tags: [gpu]}}
  refused:
    flow:
      far: {action: other.thing}
      boxed: {type: docker, image: alpine, command: ["true"]}
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    write(tmp_path, all=WORKFLOWS)
    stroem = Command(monkeypatch)
    return lambda *given, **more: stroem("run", *given, "--path", tmp_path, **more)


def test_lines_come_behind_their_step_on_stdout_and_chatter_on_stderr(run):
    ran = run("hello")
    assert ran.code == 0
    assert sorted(ran.out.splitlines()) == [
        'make: OUTPUT: {"sum": 2, "name": "Åse"}',
        "make: hei Åse",
        "make: warned",
        'use: OUTPUT: {"got": 2}',
    ]
    assert ran.err.splitlines() == [
        "--- Step: make (action: inline) ---",
        "--- Step: use (action: inline) ---",
        "2 completed, 0 skipped, 0 failed",
    ]


def test_this_process_runs_what_asks_for_tags_and_what_is_urgent(run):
    ran = run("urgent")
    assert (ran.code, ran.out) == (0, "far: far\n")


def test_the_outcome_comes_as_json_alone_on_stdout(run):
    ran = run("hello", "-i", "count=41", "-o", "json")
    assert json.loads(ran.out) == {
        "status": "completed",
        "output": {"use": {"got": 42}},
        "steps": {"make": "completed", "use": "completed"},
        "errors": {},
    }
    assert "make: hei Åse" in ran.err


def test_input_comes_from_standard_input_as_well(run):
    assert "make: hei Bo\n" in run("hello", "--input", "-", given='{"name": "Bo"}').out


def test_a_failed_step_is_named_with_its_reason_and_the_code_is_1(run):
    ran = run("bad")
    assert ran.code == 1
    assert "breaks: oops\n" in ran.out
    assert ran.err.splitlines()[-2:] == [
        "breaks: failed: Exit code: 3",
        "1 completed, 1 skipped, 1 failed",
    ]


def test_a_failure_comes_as_json_too(run):
    ran = run("bad", "-o", "json")
    outcome = json.loads(ran.out)
    assert (ran.code, outcome["status"], outcome["output"]) == (1, "failed", None)
    assert outcome["steps"] == {"breaks": "failed", "never": "skipped", "beside": "completed"}
    assert outcome["errors"] == {"breaks": "Exit code: 3\nStderr: oops"}


def test_a_template_that_fails_fails_its_step_and_says_why(run):
    ran = run("torn")
    assert ran.code == 1
    assert "torn apart" in ran.err


def test_a_step_that_is_tried_again_says_so_and_may_succeed(run):
    ran = run("tried")
    assert ran.code == 0
    assert "again: attempt 1 failed: Exit code: 1; again in" in ran.err
    assert "--- Step: again (action: inline, attempt 2) ---" in ran.err


def test_a_step_cannot_drive_the_terminal(run):
    assert run("escape").out == "only: [2J done\n"


def test_what_is_not_executed_yet_is_refused_with_every_reason(run):
    ran = run("refused")
    assert (ran.code, ran.out) == (2, "")
    for reason in ("the action 'other.thing' of another workspace", "type docker"):
        assert reason in ran.err


@pytest.mark.parametrize(
    ("pair", "said"),
    [("count=many", "must be a whole number"), ("count=1.5", "count: must be a whole number")],
)
def test_an_input_that_does_not_fit_is_refused_before_anything_runs(run, pair, said):
    ran = run("hello", "-i", pair)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_one_step_at_a_time_gives_the_same_outcome(run):
    assert run("bad", "-p", "1", "-o", "json").code == 1
