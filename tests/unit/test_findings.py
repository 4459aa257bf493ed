"""Each fault of the language is found once, where it is, with its reason and its fix.

The table is in findings/*.txt: `== name`, the YAML with `@` before the place that the finding must
name, then severity and path (`-`: the whole file), the reason, and the fix.
"""

import re
from pathlib import Path

import pytest

from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.workflow import Finding, Severity

TABLE = Path(__file__).parent / "findings"


def cases(file):
    for block in re.split(r"^== ", file.read_text(), flags=re.MULTILINE)[1:]:
        name, rest = block.split("\n", 1)
        marked, told = rest.rsplit("\n-- ", 1)
        yield pytest.param(marked, told, id=f"{file.stem}: {name}")


def workspace(text, **more):
    files = {"w.yaml": SourceFile(text.encode()), "run.sh": SourceFile(b"true\n")}
    return WorkspaceTree({**files, **more})


@pytest.mark.parametrize(
    ("marked", "told"), [case for file in sorted(TABLE.glob("*.txt")) for case in cases(file)]
)
def test_each_fault_is_told_once_with_its_place_reason_and_fix(marked, told):
    before, after = marked.split("@")
    head, reason, fix = (line.strip() for line in told.split("\n")[:3])
    severity, path = head.split(": ", 1)
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    loaded = read_workspace(workspace(before + after))
    (found,) = loaded.findings
    if reason.endswith("…"):
        # The words behind are another module's.
        assert found.reason.startswith(reason[:-1])
        reason = found.reason
    assert found == Finding(
        "w.yaml",
        line,
        column,
        Severity(severity),
        "" if path == "-" else path,
        reason,
        None if fix == "(no fix)" else fix,
    )
    assert loaded.ok == (found.severity is Severity.WARNING)


def test_a_workspace_with_ten_faults_reports_all_ten():
    text = """\
actions:
  a: { type: scrpt, script: x }
  b: { type: docker, cmd: x }
  c: { type: script, script: "{{ input.x" }
tasks:
  t:
    timeout: 8d
    flow:
      one: { action: nope }
      two: { action: c, depends_on: [thre] }
      three: { action: c, depends_on: [four] }
      four: { action: c, depends_on: [three], retry: { max_attempts: 0 } }
triggers:
  x: { type: scheduler, cron: "* *", task: t }
  y: { type: webhook, name: "a b", task: t }
"""
    found = read_workspace(workspace(text)).findings
    assert [(f.line, f.path) for f in found] == [
        (2, "actions.a.type"),
        (3, "actions.b"),
        (4, "actions.c.script"),
        (7, "tasks.t.timeout"),
        (9, "tasks.t.flow.one.action"),
        (10, "tasks.t.flow.two.depends_on[0]"),
        (11, "tasks.t.flow.three.depends_on"),
        (12, "tasks.t.flow.four.retry.max_attempts"),
        (14, "triggers.x.cron"),
        (15, "triggers.y.name"),
    ]


def test_findings_of_several_files_are_sorted_and_keep_their_files():
    broken = SourceFile(b"actions: [")
    wrong = SourceFile(b"\ntasks: { t: { flow: { s: { action: nope } } } }")
    tree = WorkspaceTree({"b.yaml": wrong, "a/c.yml": broken})
    found = read_workspace(tree).findings
    assert [(f.file, f.line) for f in found] == [("a/c.yml", 1), ("b.yaml", 2)]


def test_a_step_behind_a_cycle_is_told_that_it_never_runs():
    text = """\
actions: { ok: { type: script, script: "true" } }
tasks:
  t:
    flow:
      a: { action: ok, depends_on: [b] }
      b: { action: ok, depends_on: [a] }
      c: { action: ok, depends_on: [b] }
"""
    error, warning = read_workspace(workspace(text)).findings
    assert error.reason == "the steps wait for each other: a -> b -> a"
    assert (warning.path, warning.reason) == (
        "tasks.t.flow.c",
        "never runs: it waits for the cycle a -> b -> a",
    )


def test_the_output_of_any_step_that_ran_before_may_be_read():
    text = """\
actions: { ok: { type: script, script: "true" } }
tasks:
  t:
    flow:
      say-a: { action: ok }
      b: { action: ok, depends_on: [say-a] }
      c: { action: ok, depends_on: [b], input: { x: "{{ say_a.output.v }}" } }
"""
    assert read_workspace(workspace(text)).findings == ()


def test_too_many_steps_and_too_long_loops_are_refused():
    steps = ", ".join(f"s{n}: {{ action: ok }}" for n in range(5_001))
    items = ", ".join("1" for _ in range(10_001))
    text = f"""\
actions: {{ ok: {{ type: script, script: "true" }} }}
tasks:
  many: {{ flow: {{ {steps} }} }}
  long: {{ flow: {{ s: {{ action: ok, for_each: [{items}] }} }} }}
"""
    found = read_workspace(workspace(text)).findings
    assert [(f.path, f.reason) for f in found] == [
        ("tasks.many.flow", "5001 steps; 5000 are the most"),
        ("tasks.long.flow.s.for_each", "10001 items; 10000 are the most"),
    ]


def nested(levels):
    tasks = "".join(
        f"  t{n}: {{ flow: {{ s: {{ type: task, task: t{n + 1} }} }} }}\n" for n in range(levels)
    )
    last = f'  t{levels}: {{ flow: {{ s: {{ type: script, script: "true" }} }} }}\n'
    return read_workspace(workspace(f"tasks:\n{tasks}{last}"))


def test_tasks_that_start_each_other_may_go_ten_levels_deep_including_the_first():
    assert nested(9).findings == ()
    (finding,) = nested(10).findings
    assert finding.path == "tasks.t0"
    assert "more than 10 levels" in finding.reason


def test_tasks_that_start_each_other_in_a_round_are_warned_of():
    text = """\
tasks:
  a: { flow: { s: { type: task, task: b } } }
  b: { flow: { s: { type: task, task: a } } }
"""
    loaded = read_workspace(workspace(text))
    assert [f.reason for f in loaded.findings] == ["the tasks start each other: a -> b -> a"]
    assert loaded.ok


def test_a_file_full_of_faults_tells_a_thousand_and_counts_the_rest():
    steps = "\n".join(f"      s{n}: {{ action: x{n} }}" for n in range(3_000))
    found = read_workspace(workspace(f"tasks:\n  t:\n    flow:\n{steps}\n")).findings
    assert len(found) == 1_001
    assert found[-1].reason == "2000 more findings are not shown"


def test_the_error_of_a_bad_workspace_names_its_first_faults_and_their_places():
    loaded = read_workspace(workspace("tasks: { t: { flow: { s: { action: nope } } } }"))
    with pytest.raises(Exception, match=r"w\.yaml:1:36: .*there is no action `nope`") as caught:
        loaded.require()
    assert [v.pointer for v in caught.value.violations] == ["w.yaml:1:36"]
    good = read_workspace(workspace(""))
    assert good.require() is good.definition
