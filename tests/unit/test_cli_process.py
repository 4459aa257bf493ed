"""The command as a program: how it starts, what it loads, how it ends by signals and pipes."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.fakes.command import ENVIRON, PROGRAM, ROOT, program, write
from tests.fakes.runner import eventually, is_alive

SLEEPY = """
tasks:
  stubborn:
    flow:
      only:
        type: script
        script: |
          trap '' TERM
          echo "pid $$"
          (setsid sleep 60 & echo "pid $!"; wait) &
          while :; do sleep 0.1; done
  endless:
    flow: {only: {type: script, script: "yes"}}
"""
MEETING = """
tasks:
  meet:
    input: {at: {type: string}}
    flow:
      left: {type: script, env: {AT: "{{ input.at }}"}, script: &meet "SCRIPT"}
      right: {type: script, env: {AT: "{{ input.at }}"}, script: *meet}
"""
# Printed, and only then waited: neither ends before both have come.
MEET = (
    "echo came; touch $AT/$STROEM_STEP_NAME; "
    "while [ $(ls $AT | wc -l) -lt 2 ]; do sleep 0.02; done; echo met"
)


@pytest.fixture
def start():
    """Start programs; what a failed test leaves of them is killed."""
    with ExitStack() as stack:

        def begin(*arguments, **given):
            ran = stack.enter_context(program(*arguments, **given))
            stack.callback(ran.kill)
            return ran

        yield begin


def loaded_by(*arguments):
    """Return the modules that the command had loaded when it ended."""
    code = (
        "import atexit, sys; sys.argv = sys.argv[1:]; "
        "atexit.register(lambda: print('\\n'.join(sys.modules), file=sys.stderr)); "
        "from chalicelib.cli.__main__ import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "stroem", *arguments],
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stderr.split())


def test_the_version_is_printed_before_anything_heavy_is_loaded():
    # How long it takes stands with the benchmarks: this is what keeps it short.
    loaded = {name.partition(".")[0] for name in loaded_by("--version")}
    # What Python itself loads where packages are installed is no choice of ours.
    installed = {name for name in loaded - sys.stdlib_module_names if not name.startswith("_")}
    assert installed == {"chalicelib"}
    assert not loaded & {"asyncio", "email", "http", "logging", "ssl", "subprocess", "threading"}


def test_help_loads_neither_aws_nor_http_nor_a_parser():
    heavy = {"boto3", "botocore", "pynamodb", "pydantic", "urllib3", "yaml", "chalice", "jinja2"}
    assert not loaded_by("--help") & heavy


def test_running_a_task_loads_nothing_of_aws(tmp_path):
    write(tmp_path, a="tasks: {t: {flow: {a: {type: script, script: 'true'}}}}")
    assert not loaded_by("run", "t", "--path", str(tmp_path)) & {"boto3", "pynamodb", "urllib3"}


def test_steps_run_at_the_same_time_and_show_their_lines_as_they_come(tmp_path, start):
    # Each step waits for the other's sign, so one after the other would never end.
    at = tmp_path / "meeting"
    at.mkdir()
    write(tmp_path, a=MEETING.replace("SCRIPT", MEET))
    ran = start("run", "meet", "--path", tmp_path, "-i", f"at={at}")
    out, err = ran.communicate(timeout=120)
    assert ran.returncode == 0, err
    lines = out.splitlines()
    assert set(lines[:2]) == {"left: came", "right: came"}
    assert set(lines[2:]) == {"left: met", "right: met"}


def test_a_line_is_there_while_its_step_still_runs(tmp_path, start):
    sign = tmp_path / "go"
    write(
        tmp_path,
        a="tasks: {t: {input: {go: {type: string}}, flow: {a: {type: script, "
        'env: {GO: "{{ input.go }}"}, '
        'script: "echo first; while [ ! -e $GO ]; do sleep 0.02; done; echo last"}}}}',
    )
    ran = start("run", "t", "--path", tmp_path, "-i", f"go={sign}")
    assert ran.stdout.readline() == "a: first\n"
    sign.touch()
    assert ran.communicate(timeout=120)[0] == "a: last\n"
    assert ran.returncode == 0


def told_twice(ran, number):
    """Send the signal, and again when it is being obeyed: it must not wait for the stubborn."""
    ran.send_signal(number)
    while (said := ran.stderr.readline()) != "stopping …\n":
        assert said, ran.poll()
    ran.send_signal(number)
    ran.communicate(timeout=120)
    return ran.returncode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_steps_and_all_that_they_started(tmp_path, start, number, code):
    write(tmp_path, a=SLEEPY)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ran = start("run", "stubborn", "--path", tmp_path, environ={"TMPDIR": str(temporary)})
    pids = [int(ran.stdout.readline().split()[-1]) for _ in range(2)]
    assert all(map(is_alive, pids))
    assert told_twice(ran, number) == code
    assert eventually(lambda: not any(map(is_alive, pids)))
    assert list(temporary.iterdir()) == []


def test_a_run_whose_reader_went_away_stops(tmp_path, start):
    write(tmp_path, a=SLEEPY)
    ran = start("run", "endless", "--path", tmp_path)
    assert ran.stdout.readline() == "only: y\n"
    ran.stdout.close()
    err = ran.stderr.read()
    assert ran.wait(timeout=120) == 5
    assert "nobody takes its output" in err
    assert "Traceback" not in err


def test_a_reader_that_went_away_is_no_fault():
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [*PROGRAM, "tasks"],
        cwd=ROOT / "examples",
        env=ENVIRON,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_full_disk_is_told_without_a_traceback():
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = subprocess.run(
            [*PROGRAM, "tasks"],
            cwd=ROOT / "examples",
            env=ENVIRON,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 70
    assert ran.stderr == "stroem: cannot write the output: No space left on device\n"


def on_a_terminal(folder, *arguments, **environ):
    """Run the command with a terminal for its output; return what a person would see."""
    ours, theirs = os.openpty()
    ran = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**ENVIRON, "TERM": "xterm", **environ},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # how Linux says that the other end is closed
    os.close(ours)
    assert ran.wait(timeout=120) == 0
    return shown.decode()


@pytest.mark.parametrize(
    ("arguments", "environ", "coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--no-color",), {}, False),
    ],
    ids=["terminal", "NO_COLOR", "TERM=dumb", "--no-color"],
)
def test_colour_is_for_terminals_that_want_it(tmp_path, arguments, environ, coloured):
    write(tmp_path, a="tasks: {t: {flow: {a: {type: script, script: 'echo hello'}}}}")
    shown = on_a_terminal(tmp_path, *arguments, "run", "t", **environ)
    assert "hello" in shown
    assert ("\x1b[" in shown) is coloured


def test_json_on_a_terminal_has_no_colour():
    assert json.loads(on_a_terminal(ROOT / "examples", "tasks", "-o", "json"))
