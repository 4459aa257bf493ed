"""Scripts and sources of each language, run for real where the toolchain is here."""

import shutil
import sys
from pathlib import Path

import pytest

from chalicelib.domain.workflow import Language
from tests.fakes.runner import Bench

ARGS = ("one", "two words", "", "$HOME", "a'b\"c", "é")
PRINT_ARGS = {
    Language.SHELL: 'for a in "$@"; do echo "[$a]"; done',
    Language.PYTHON: "import sys\nfor a in sys.argv[1:]: print(f'[{a}]')",
    Language.JAVASCRIPT: "for (const a of process.argv.slice(2)) console.log(`[${a}]`)",
}
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
LANGUAGES = [
    Language.SHELL,
    Language.PYTHON,
    pytest.param(Language.JAVASCRIPT, marks=needs_node),
]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def tools(tmp_path):
    """Return a function that fills a folder of programs, the only one on a new bench's PATH."""

    def make(*names, **scripts):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("sh", *names):
            (folder / name).symlink_to(shutil.which(name))
        for name, script in scripts.items():
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
        return Bench(tmp_path, environ={"PATH": str(folder)})

    return make


def put(bench, name, text, mode=0o644):
    file = bench.workdir / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("where", ["script", "source"])
def test_args_arrive_as_they_are(bench, language, where):
    script = PRINT_ARGS[language]
    if where == "source":
        put(bench, "dir with space/prog", script)
        result = bench.run(None, language, source="dir with space/prog", args=ARGS)
    else:
        result = bench.run(script, language, args=ARGS)
    assert result.error is None
    assert bench.stdout() == [f"[{arg}]" for arg in ARGS]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_step_starts_in_its_working_copy(bench, language):
    put(bench, "data.txt", "here")
    bench.run(
        {
            Language.SHELL: "cat data.txt",
            Language.PYTHON: "print(open('data.txt').read())",
            Language.JAVASCRIPT: "console.log(require('fs').readFileSync('data.txt', 'utf8'))",
        }[language],
        language,
    )
    assert bench.stdout() == ["here"]


def test_an_inline_script_leaves_no_file_in_the_working_copy(bench):
    bench.run("import os; print(os.listdir())", Language.PYTHON)
    assert bench.stdout() == ["[]"]


def test_a_traceback_names_the_step(bench):
    result = bench.run("\nraise SystemError('why')", Language.PYTHON, step="load data")
    assert 'step-load-data.py", line 2' in result.error
    assert result.error.endswith("SystemError: why")


def test_a_step_called_like_a_module_does_not_hide_it(bench):
    result = bench.run("import json; print(json.dumps(1))", Language.PYTHON, step="json")
    assert (result.error, bench.stdout()) == (None, ["1"])


def test_an_inline_python_script_imports_modules_of_the_workspace(bench):
    put(bench, "lib/prices.py", "VAT = 25")
    assert bench.run("from lib.prices import VAT; print(VAT)", Language.PYTHON).error is None
    assert bench.stdout() == ["25"]


@needs_node
def test_an_inline_module_may_use_import(bench):
    script = "import { basename } from 'node:path'\nconsole.log(await basename('/a/b'))"
    assert bench.run(script, Language.JAVASCRIPT).error is None
    assert bench.stdout() == ["b"]


def test_the_shell_names_the_step_in_its_messages(bench):
    assert "build: " in bench.run("no-such-program").error


def test_a_first_line_chooses_the_interpreter(bench):
    script = "#!/usr/bin/env python3\nimport sys; print('python', sys.argv[1:])"
    bench.run(script, args=("a b",))
    assert bench.stdout() == ["python ['a b']"]


def test_a_first_line_may_hold_one_argument(bench):
    assert bench.run("#!/bin/sh -e\nfalse\necho reached").exit_code == 1
    assert bench.stdout() == []


def test_a_first_line_that_names_no_program_says_so(bench):
    result = bench.run("#!/opt/none/fish\n:")
    assert result.exit_code is None
    assert "/opt/none/fish" in result.error
    assert "Install it" in result.error


def test_interpreter_bash_runs_bash(bench):
    assert (
        bench.run('[[ "$BASH_VERSION" ]] && echo "$1"', interpreter="bash", args=("x",)).error
        is None
    )
    assert bench.stdout() == ["x"]


def test_interpreter_may_be_a_file_of_the_workspace(bench):
    put(bench, "tools/upper", '#!/bin/sh\ntr a-z A-Z < "$1"', 0o755)
    bench.run("hello", interpreter="tools/upper")
    assert bench.stdout() == ["HELLO"]


def test_interpreter_overrides_the_language(bench):
    bench.run("import sys; print(sys.executable)", Language.PYTHON, interpreter=sys.executable)
    assert bench.stdout() == [sys.executable]


def test_an_inline_script_larger_than_an_argument_may_be_runs(bench):
    assert bench.run(f"# {'x' * 200_000}\necho $1", args=("ran",)).error is None
    assert bench.stdout() == ["ran"]


def test_an_executable_source_runs_by_its_own_first_line(bench):
    put(bench, "go.sh", "#!/usr/bin/env python3\nprint('py')", 0o755)
    bench.run(source="go.sh")
    assert bench.stdout() == ["py"]


def test_an_executable_source_without_first_line_runs_by_sh(bench):
    put(bench, "go.sh", "echo sh", 0o755)
    assert bench.run(source="go.sh").error is None
    assert bench.stdout() == ["sh"]


def test_a_missing_source_says_what_to_check(bench):
    result = bench.run(source="scripts/none.sh")
    assert result.error.startswith("The source scripts/none.sh is not in this revision")


@pytest.mark.parametrize("source", ["../outside.sh", "/etc/passwd", "link.sh"])
def test_a_source_outside_the_working_copy_is_refused(bench, tmp_path, source):
    (tmp_path / "outside.sh").write_text("echo no")
    (bench.workdir / "link.sh").symlink_to(tmp_path / "outside.sh")
    result = bench.run(source=source)
    assert "lies outside the workspace" in result.error
    assert bench.stdout() == []


def test_text_with_a_null_character_is_the_steps_error(bench):
    assert "null byte" in bench.run("echo a\0b").error


def test_arguments_too_large_for_the_system_are_the_steps_error(bench):
    assert "does not start" in bench.run("true", args=("x" * 3_000_000,)).error


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (Language.PYTHON, "python3 is not on this worker's PATH"),
        (Language.JAVASCRIPT, "javascript needs one of bun, deno, node"),
        (Language.TYPESCRIPT, "typescript needs one of bun, deno, node"),
        (Language.GO, "go is not on this worker's PATH"),
    ],
)
def test_a_missing_toolchain_says_what_to_install(tools, language, words):
    result = tools().run("x", language)
    assert words in result.error
    assert "Install" in result.error
    assert (result.exit_code, result.has_output, result.cancelled) == (None, False, False)


def test_a_missing_interpreter_says_what_to_install(bench):
    assert (
        "fish is not on this worker's PATH. Install it" in bench.run(":", interpreter="fish").error
    )


def test_typescript_on_an_old_node_says_what_it_needs(tools):
    bench = tools(node="#!/bin/sh\necho v20.20.2\n")
    assert (
        "node 22.6 and newer, and this worker has only node 20.20."
        in bench.run("x", Language.TYPESCRIPT).error
    )


@pytest.mark.parametrize(
    ("language", "program", "words"),
    [
        (Language.TYPESCRIPT, "bun", "run <ts> a"),
        (Language.TYPESCRIPT, "deno", "run --allow-all --quiet <ts> a"),
        (Language.JAVASCRIPT, "bun", "run <js> a"),
        (Language.GO, "go", "run <go> a"),
    ],
)
def test_each_toolchain_gets_the_words_that_run_a_file(tools, language, program, words):
    bench = tools(**{program: '#!/bin/sh\necho "$@"\n'})
    bench.run("x", language, args=("a",))
    before, _, suffix = words.partition("<")
    assert bench.stdout()[0].startswith(before)
    assert bench.stdout()[0].endswith(f"script/step-build.{suffix.replace('>', '')}")


def test_typescript_on_a_new_node_strips_types(tools):
    bench = tools(node='#!/bin/sh\n[ "$1" = --version ] && echo v22.7.0 || echo "$@"\n')
    bench.run("x", Language.TYPESCRIPT)
    assert bench.stdout()[0].startswith("--experimental-strip-types ")


FAKE_PIP = """#!/bin/sh
# A stand-in for python3: makes an environment that is itself, and notes each installation.
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip install"*) echo "$@" >> "$LOG"; %s ;;
  *) echo ran by "$0" ;;
esac
"""


def a_pip(tools, outcome=":"):
    return tools("mkdir", "cp", "sleep", python3=FAKE_PIP % outcome)


def test_dependencies_are_installed_once_for_each_set(tools, tmp_path):
    bench, log = a_pip(tools), tmp_path / "log"
    for wanted in (("a", "b>=1"), ("b>=1", "a"), ("a",)):
        result = bench.run("x", Language.PYTHON, dependencies=wanted, env={"LOG": str(log)})
        assert result.error is None
    assert [line.rsplit(" off ")[1] for line in log.read_text().splitlines()] == ["a b>=1", "a"]
    assert bench.stdout()[0].endswith("/venv/bin/python")
    assert bench.stderr() == ["Installing a, b>=1", "Installing a"]


def test_workspaces_do_not_share_installed_dependencies(tools, tmp_path):
    bench, log = a_pip(tools), tmp_path / "log"
    for workspace in ("shop", "bank"):
        bench.run(
            "x", Language.PYTHON, dependencies=("a",), workspace=workspace, env={"LOG": str(log)}
        )
    assert len(log.read_text().splitlines()) == 2


def test_a_failed_installation_says_so_and_is_tried_again(tools, tmp_path):
    bench, log = a_pip(tools, "echo no such package >&2; exit 9"), tmp_path / "log"
    for _ in range(2):
        result = bench.run("x", Language.PYTHON, dependencies=("nope",), env={"LOG": str(log)})
        assert result.error.startswith("The dependencies could not be installed")
        assert "Check their names and versions" in result.error
        assert result.error.endswith("no such package")
    assert len(log.read_text().splitlines()) == 2


def test_an_installation_counts_against_the_steps_time(tools, tmp_path):
    bench = a_pip(tools, "sleep 60")
    result = bench.run(
        "x", Language.PYTHON, dependencies=("a",), env={"LOG": "/dev/null"}, timeout_s=0.3
    )
    assert (result.timed_out, result.error) == (True, "Step timed out after 0.3s")


def test_an_option_among_the_dependencies_is_refused(tools):
    result = a_pip(tools).run("x", Language.PYTHON, dependencies=("--index-url=http://evil",))
    assert "starts with a dash" in result.error


def test_uv_installs_where_it_is_found(tools, tmp_path):
    uv = (
        '#!/bin/sh\necho "$@" >> "$LOG"\n'
        'case "$1" in venv) mkdir -p "$5/bin"; cp "$0" "$5/bin/python";; esac\n'
    )
    log = tmp_path / "log"
    bench = tools("mkdir", "cp", "python3", uv=uv)
    assert (
        bench.run("x", Language.PYTHON, dependencies=("a",), env={"LOG": str(log)}).error is None
    )
    venv, pip, ran = log.read_text().splitlines()
    assert venv.startswith("venv --quiet --python ")
    assert pip.startswith("pip install --python ")
    assert pip.endswith("/venv/bin/python a")
    assert ran.endswith("/script/step-build.py")


@needs_node
@pytest.mark.parametrize("where", ["script", "source"])
def test_node_finds_what_npm_installed(tools, where):
    npm = (
        "#!/bin/sh\nmkdir -p node_modules/greet\n"
        'echo "module.exports = process.cwd()" > node_modules/greet/index.js\n'
    )
    bench = tools("mkdir", "node", npm=npm)
    script = "console.log(require('greet') === process.cwd())"
    put(bench, "main.js", script)
    which = {"source": "main.js"} if where == "source" else {"script": script}
    assert bench.run(language=Language.JAVASCRIPT, dependencies=("greet",), **which).error is None
    assert bench.stdout() == ["true"]


BACKEND = """
import zipfile

def build_wheel(folder, settings=None, metadata=None):
    name, info = "tiny-1-py3-none-any.whl", "tiny-1.dist-info/"
    facts = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("tiny.py", "SIZE = 1")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", facts)
        wheel.writestr(info + "RECORD", "")
    return name
"""
PROJECT = """
build-system = { requires = [], build-backend = "back", backend-path = ["."] }
project = { name = "tiny", version = "1" }
"""


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_real_package_is_installed_into_a_real_environment(tmp_path, installer):
    package, programs = tmp_path / "tiny", tmp_path / "bin"
    package.mkdir()
    (package / "pyproject.toml").write_text(PROJECT)
    (package / "back.py").write_text(BACKEND)
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    if installer == "uv":
        (programs / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    bench = Bench(tmp_path, environ={"PATH": str(programs)})
    script = "import tiny, sys; print(tiny.SIZE, sys.prefix != sys.base_prefix)"
    wanted = (f"tiny @ {package.as_uri()}",)
    first = bench.run(script, Language.PYTHON, dependencies=wanted)
    again = bench.run(script, Language.PYTHON, dependencies=wanted)
    assert (first.error, again.error) == (None, None)
    assert bench.stdout() == ["1 True"] * 2
    assert again.duration_s < 1
