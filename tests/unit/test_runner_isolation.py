"""Whose rights a step has, and that the result tells the truth about it."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from chalicelib.domain.workflow import Language
from chalicelib.runner.environment import remove_tree
from chalicelib.runner.isolation import (
    can_run,
    find_program,
    isolation_in_force,
    lost_programs,
    step_user,
)
from chalicelib.runner.spawn import StepUser
from tests.fakes.runner import Bench

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SOMEBODY = StepUser(61_200, 61_200)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may change users")


@contextmanager
def open_folder():
    """Make a folder that others may enter; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        remove_tree(folder)


@pytest.fixture
def bench():
    with open_folder() as folder:
        yield Bench(folder, environ={"PATH": SYSTEM_PATH}, user=SOMEBODY)


def test_only_a_worker_that_is_root_has_users_for_steps():
    assert step_user(1, 1000) is None
    assert step_user(1, 0) != step_user(2, 0)


@needs_root
def test_an_isolated_step_has_its_own_user_and_no_groups(bench):
    result = bench.run("id -u; id -G; touch made; mkdir $HOME/x; stat -c %u made $HOME")
    assert (result.error, result.isolation) == (None, "user")
    assert bench.stdout() == ["61200"] * 4


@needs_root
def test_an_isolated_step_cannot_read_the_workers_environment(bench):
    result = bench.run(f"cat /proc/{os.getpid()}/environ")
    assert "Permission denied" in result.error


@needs_root
def test_an_isolated_step_cannot_change_what_another_left(bench):
    with open_folder() as folder:
        other = Bench(folder, environ={"PATH": SYSTEM_PATH}, user=StepUser(61_201, 61_201))
        other.workdir.chmod(0o700)
        other.run("echo mine > kept")
        assert "Permission denied" in bench.run(f"cat {other.workdir}/kept").error


@needs_root
def test_cancel_reaches_an_isolated_step(bench):
    bench.sink.on_line = lambda _: bench.cancel.set()
    assert bench.run("echo up; sleep 60 & wait").cancelled


@needs_root
def test_an_isolated_step_runs_its_own_source_and_other_languages(bench):
    (bench.workdir / "go.sh").write_text("#!/bin/sh\nid -u")
    (bench.workdir / "go.sh").chmod(0o700)
    bench.run(source="go.sh")
    bench.run("import os; print(os.getuid())", Language.PYTHON)
    assert bench.stdout() == ["61200", "61200"]


@needs_root
def test_dependencies_are_installed_by_the_steps_user_and_then_closed_to_it(bench):
    fake = (
        '#!/bin/sh\ncase "$*" in "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python";;\n'
        "*install*) id -u > ../whoami 2>/dev/null; id -u > installed-by;;\n"
        '*) dir="${0%/venv/*}"; cat "$dir/installed-by"; touch "$dir/x" && echo open;; esac\n'
    )
    folder = bench.folder / "bin"
    folder.mkdir()
    (folder / "python3").write_text(fake)
    (folder / "python3").chmod(0o755)
    host = Bench(bench.folder, environ={"PATH": f"{folder}:{SYSTEM_PATH}"}, user=SOMEBODY)
    result = host.run("x", Language.PYTHON, dependencies=("a",))
    assert result.isolation == "user"
    assert host.stdout() == ["61200"]
    assert "Permission denied" in result.error


@needs_root
def test_a_working_copy_that_the_user_cannot_reach_means_no_isolation(tmp_path):
    tmp_path.chmod(0o700)
    bench = Bench(tmp_path, environ={"PATH": SYSTEM_PATH}, user=SOMEBODY)
    result = bench.run("id -u")
    assert (result.error, result.isolation, bench.stdout()) == (None, "none", ["0"])


@needs_root
def test_a_program_that_only_the_worker_may_run_means_no_isolation():
    with open_folder() as folder:
        hidden = folder / "hidden"
        hidden.mkdir(mode=0o700)
        (hidden / "python3").symlink_to(sys.executable)
        (folder / "sh").symlink_to("/bin/sh")
        path = f"{hidden}:{folder}"
        bench = Bench(folder, environ={"PATH": path}, user=SOMEBODY)
        result = bench.run("print(1)", Language.PYTHON)
        assert (result.error, result.isolation) == (None, "none")
        assert "python3 on PATH is closed to others" in isolation_in_force(SOMEBODY, path)


def test_a_program_is_looked_for_where_the_user_may_run_it(tmp_path):
    closed, opened = tmp_path / "closed", Path("/bin")
    closed.mkdir(mode=0o700)
    (closed / "sh").symlink_to("/bin/sh")
    path = f"{closed}:{opened}"
    assert find_program("sh", path, None) == str(closed / "sh")
    assert find_program("sh", path, SOMEBODY) == "/bin/sh"
    assert find_program("no-such-program", path, SOMEBODY) is None
    assert lost_programs(SOMEBODY, path) == ""


def test_a_link_into_a_closed_folder_cannot_be_run():
    with open_folder() as folder:
        closed = folder / "closed"
        closed.mkdir()
        (closed / "tool").write_text("#!/bin/sh\n")
        (closed / "tool").chmod(0o755)
        (folder / "tool").symlink_to(closed / "tool")
        assert can_run(folder / "tool", SOMEBODY)
        closed.chmod(0o700)
        assert not can_run(folder / "tool", SOMEBODY)


def test_the_isolation_in_force_is_said_in_words():
    assert isolation_in_force(None, SYSTEM_PATH).startswith("none: ")


HIDDEN = """
import os, subprocess, sys
sys.path.insert(0, os.getcwd())
from chalicelib.runner.isolation import hide_from_steps
def read():
    argv = ["cat", f"/proc/{os.getpid()}/environ"]
    return b"planted" in subprocess.run(argv, capture_output=True).stdout
print(read(), hide_from_steps(), read())
"""


@needs_root
@pytest.mark.skipif(not can_run(Path("/usr/bin/python3"), SOMEBODY), reason="needs a python3")
def test_a_worker_without_root_can_hide_its_environment_from_its_steps():
    with open_folder() as folder:
        # Another user needs a readable copy of the code: the checkout may be closed to it.
        package = folder / "chalicelib"
        (package / "runner").mkdir(parents=True)
        (package / "runner" / "isolation.py").write_text(
            Path("chalicelib/runner/isolation.py").read_text()
        )
        (package / "runner" / "spawn.py").write_text("class StepUser: pass")
        ran = subprocess.run(
            ["/usr/bin/python3", "-c", HIDDEN],
            cwd=folder,
            env={"TOKEN": "planted", "PATH": SYSTEM_PATH},
            user=SOMEBODY.uid,
            group=SOMEBODY.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == "True True False\n"
