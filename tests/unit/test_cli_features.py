"""`stroem run` with the examples of each feature: what the pages tell people to try."""

import json
import re

import pytest

from tests.fakes.command import ROOT, Command, write

EXAMPLES = ROOT / "examples"
TRIED = re.compile(r"`stroem run ([\w-]+) --path examples([^`]*)`")


@pytest.fixture
def run(monkeypatch):
    stroem = Command(monkeypatch)
    return lambda *given: stroem("run", *given, "--path", EXAMPLES, "-o", "json")


@pytest.mark.parametrize(("env", "deploy"), [("dev", "skipped"), ("prod", "completed")])
def test_a_condition_decides_whether_a_step_runs(run, env, deploy):
    ran = run("conditional", "-i", f"env={env}")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["steps"] == {
        "test": "completed",
        "deploy": deploy,
        "done": "completed",
    }


def test_a_loop_runs_its_instances_and_hands_their_outputs_on(run):
    ran = run("loop")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["output"] == {"total": {"letters": 25}}


def test_a_sequential_loop_stops_at_its_first_failure(run):
    ran = run("one-after-the-other")
    assert ran.code == 1
    assert "for_each loop failed: instances [2]" in ran.out
    assert "round 4" not in ran.err


def test_an_instance_that_is_tried_again_says_so(monkeypatch, tmp_path):
    flow = (
        "tasks: { t: { flow: { s: { type: script, for_each: [1, 2], "
        "retry: { max_attempts: 2, delay: 1s }, "
        'script: "test $STROEM_ATTEMPT -ge 2" } } } }'
    )
    ran = Command(monkeypatch)("run", "t", "--path", write(tmp_path, all=flow))
    assert ran.code == 0, ran.err
    for instance in ("s[0]", "s[1]"):
        assert f"{instance}: attempt 1 failed: Exit code: 1; again in " in ran.err


def pages():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")]
    return sorted({found for text in texts for found in TRIED.findall(text)})


def test_each_command_that_a_page_tells_to_try_names_a_task_of_the_examples(monkeypatch):
    listed = Command(monkeypatch)("tasks", "--path", EXAMPLES).out
    assert len(pages()) >= 5
    assert [task for task, _ in pages() if task not in listed.split()] == []
