"""Verbs that read a folder: what they print where, and with which code they end."""

import json

import pytest

from tests.fakes.command import ROOT, Command, write

EXAMPLES = ROOT / "examples"
SHOP = """
actions:
  greet: {type: script, script: "true", description: "Says\\thello\\nto Åse, 日本"}
tasks:
  hello:
    folder: demo
    input: {name: {type: string, default: you}, token: {type: string, secret: true, default: x}}
    flow:
      first: {action: greet}
      then: {type: script, script: "true", depends_on: [first], continue_on_failure: true}
  wide: {folder: 日本, flow: {only: {action: greet}}}
triggers:
  nightly: {type: scheduler, cron: "0 2 * * *", task: hello}
"""


@pytest.fixture
def stroem(monkeypatch):
    return Command(monkeypatch)


@pytest.fixture
def shop(tmp_path):
    return write(tmp_path / "shop", shop=SHOP)


def test_validate_says_what_a_sound_workspace_holds(stroem, shop):
    ran = stroem("validate", shop)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "[OK] Workspace loaded: 1 actions, 2 tasks, 1 triggers\n"


def test_validate_prints_every_fault_as_compilers_do_and_exits_2(stroem, tmp_path):
    write(tmp_path, a="tasks: {t: {flow: {a: {action: nope, depends_on: [b]}}}}", b="tasks: [\n")
    ran = stroem("validate", tmp_path)
    assert ran.code == 2
    *faults, verdict = ran.out.splitlines()
    assert verdict == f"[FAIL] {len(faults)} error(s), 0 warning(s)"
    assert {fault.partition(":")[0] for fault in faults} == {
        ".workflows/a.yaml",
        ".workflows/b.yaml",
    }
    for fault in faults:
        file, line, column, severity, _ = fault.split(":", 4)
        assert (line.isdigit(), column.isdigit(), severity) == (True, True, " error")
        assert fault.count(file) == 1


@pytest.mark.parametrize("verb", ["tasks", "actions", "triggers", "inspect", "run"])
def test_a_broken_workspace_is_refused_by_every_verb_with_its_faults(stroem, tmp_path, verb):
    write(tmp_path, a="tasks: [\n")
    ran = stroem(verb, *(["t"] if verb in ("inspect", "run") else []), "--path", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ".workflows/a.yaml:2:1: error: not valid YAML" in ran.err
    assert "has 1 error; see above" in ran.err


def test_a_folder_that_is_not_there_is_not_found_and_a_file_is_a_mistake(stroem, tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert stroem("validate", tmp_path / "nowhere").code == 3
    ran = stroem("validate", file)
    assert ran.code == 2
    assert "is a file: name the folder that holds `.workflows/`" in ran.err


def test_an_empty_folder_is_sound_and_says_where_workflows_would_be(stroem, tmp_path):
    ran = stroem("validate", tmp_path)
    assert ran.code == 0
    assert ran.out == "[OK] Workspace loaded: 0 actions, 0 tasks, 0 triggers\n"
    assert "YAML files in its folder `.workflows`" in ran.err
    assert stroem("tasks", "--path", tmp_path, "-o", "json").out == "[]\n"


def test_columns_line_up_whatever_the_characters(stroem, shop):
    lines = stroem("tasks", "--path", shop).out.splitlines()
    assert lines == [
        "NAME   FOLDER  STEPS  MODE         DESCRIPTION",
        "hello  demo    2      distributed  -",
        "wide   日本    1      distributed  -",
    ]


def test_a_description_of_several_lines_stays_in_its_row(stroem, shop):
    assert (
        stroem("actions", "--path", shop).out.splitlines()[1].endswith("Says hello to Åse, 日本")
    )


def test_inspect_shows_inputs_steps_and_triggers_and_hides_secret_defaults(stroem, shop):
    ran = stroem("inspect", "hello", "--path", shop)
    assert ran.code == 0
    assert "token  string  no        ********" in ran.out
    assert "then   (inline)  first       continue on failure" in ran.out
    assert "nightly  scheduler" in ran.out


def test_a_task_that_is_not_there_is_not_found_with_the_nearest_name(stroem, shop):
    ran = stroem("inspect", "helo", "--path", shop)
    assert (ran.code, ran.out) == (3, "")
    assert "did you mean 'hello'?" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [("tasks",), ("actions",), ("triggers",), ("inspect", "hello"), ("validate",)],
    ids=" ".join,
)
def test_json_stands_alone_on_stdout(stroem, shop, arguments):
    ran = stroem(*arguments, "--path", shop, "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)


def test_inspect_hides_secret_defaults_in_json_too(stroem, shop):
    found = json.loads(stroem("inspect", "hello", "--path", shop, "-o", "json").out)
    assert found["input"]["token"]["default"] == "********"
    assert list(found["flow"]) == ["first", "then"]


def test_json_is_json_in_an_encoding_without_the_characters_too(stroem, shop):
    ran = stroem("actions", "--path", shop, "-o", "json", encoding="ascii")
    assert json.loads(ran.out)[0]["description"] == "Says\thello\nto Åse, 日本"


def test_findings_come_as_data_when_asked_for(stroem, tmp_path):
    write(tmp_path, a="tasks: {t: {flow: {a: {action: nope}}}}")
    ran = stroem("validate", tmp_path, "-o", "json")
    report = json.loads(ran.out)
    assert (ran.code, report["ok"]) == (2, False)
    assert report["findings"][0]["path"] == "tasks.t.flow.a.action"


def test_the_examples_are_sound(stroem):
    assert stroem("validate", EXAMPLES).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bogus",), "No such command 'bogus'"),
        (("--bogus",), "No such option: --bogus"),
        (("run",), "Missing argument 'TASK'"),
        (("run", "x", "-p", "0"), "greater than or equal to 1"),
        (("tasks", "-o", "xml"), "'xml' is not one of"),
        (("tasks", "-w", "shop"), "it needs --remote"),
        (("jobs", "--status", "done"), "'done' is not one of"),
        (("jobs", "--task", "t"), "--task needs -w"),
        (("trigger", "t", "--timeout", "5"), "--timeout needs --wait or --follow"),
        (("status", "x", "--server", "example.org"), "must begin with http:// or https://"),
        (("logs", "x", "-f", "-o", "json"), "use -o jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_in_the_arguments_exits_2_and_says_which(stroem, arguments, said):
    ran = stroem(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
