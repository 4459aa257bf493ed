"""`stroem trigger --follow` on a real stack: lines as they are printed, over a WebSocket."""

import os
import subprocess
import time

import pytest

from tests.e2e.running_stack import STROEM, RunningStack
from tests.fakes.relay import relay_to

SLOW = """
tasks:
  slow:
    flow:
      count:
        type: script
        script: "for i in $(seq 1 30); do echo line $i; sleep 0.3; done"
  breaks:
    flow:
      tries: {type: script, script: "echo trying; exit 3", retry: {max_attempts: 2, delay: 1s}}
"""
LINES = [f"count: line {number}" for number in range(1, 31)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    home = tmp_path_factory.mktemp("follow")
    (home / "slow").mkdir()
    (home / "slow" / "slow.yaml").write_text(SLOW)
    found = RunningStack(home / "data", options=("--workspace", f"slow={home / 'slow'}")).start()
    # A function that was never called takes seconds to start, which is not what is timed here.
    found.stroem("trigger", "breaks", "-w", "slow", "--follow")
    yield found
    found.stop()


@pytest.fixture
def relay(stack):
    with relay_to(stack.port) as running:
        yield running


def started(port, *arguments):
    """Return the command, started against a port; its output comes line by line."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS", "STROEM"))}
    command = [str(STROEM), *arguments]
    return subprocess.Popen(
        command,
        env=environment | {"STROEM_URL": f"http://127.0.0.1:{port}", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_lines_come_while_the_step_prints_and_no_log_is_polled(stack, relay):
    with started(relay.port, "trigger", "slow", "-w", "slow", "--follow") as following:
        came = [(time.monotonic(), text.rstrip("\n")) for text in following.stdout]
    assert following.returncode == 0
    assert [text for _, text in came] == LINES
    # The step prints for nine seconds: lines that come together were not live.
    assert came[-1][0] - came[0][0] > 5
    assert len({round(at) for at, _ in came}) > 5
    assert b"/logs" not in relay.carried
    assert b"GET /ws?ticket=" in relay.carried


def test_after_a_cut_in_the_middle_no_line_is_missing_and_none_comes_twice(stack, relay):
    came = []
    with started(relay.port, "trigger", "slow", "-w", "slow", "--follow") as following:
        for text in following.stdout:
            came.append(text.rstrip("\n"))
            if len(came) in (5, 15):
                relay.cut()
        said = following.stderr.read()
    assert following.returncode == 0
    assert came == LINES
    assert said.count("; reconnected\n") == 1
    assert bytes(relay.carried).count(b"GET /ws?ticket=") == 3


def test_the_exit_code_is_the_outcome_and_attempts_are_told_apart(stack, relay):
    with started(relay.port, "trigger", "breaks", "-w", "slow", "--follow") as following:
        out, err = following.communicate(timeout=60)
    assert following.returncode == 1
    assert out == "tries: trying\n── tries: attempt 2 ──\ntries: trying\n"
    assert "tries: failed: Exit code: 3" in err
    assert b"/logs" not in relay.carried
