"""`stroem trigger --follow` on a real stack: lines as they are printed, over a WebSocket."""

import os
import subprocess
import threading

import pytest

from tests.e2e.gates import a_gate
from tests.e2e.live_messages import hear, say
from tests.e2e.running_stack import STROEM, RunningStack, eventually
from tests.fakes.relay import relay_to

TASKS = """
tasks:
  turns:
    flow:
      count: {{type: script, script: "{turns}"}}
  parts:
    flow:
      count: {{type: script, script: "{parts}"}}
  breaks:
    flow:
      tries: {{type: script, script: "echo trying; exit 3", retry: {{max_attempts: 2, delay: 1s}}}}
"""
LINES = [f"count: line {number}\n" for number in range(1, 31)]
HUNG_S = 180


@pytest.fixture(scope="module")
def gate():
    with a_gate() as made:
        yield made


@pytest.fixture(scope="module")
def stack(tmp_path_factory, gate):
    home = tmp_path_factory.mktemp("follow")
    (home / "slow").mkdir()
    parts = "; ".join(
        f"{gate.shell(f'part{first}')}; seq -f 'line %g' {first} {last}"
        for first, last in ((1, 5), (6, 15), (16, 30))
    )
    text = TASKS.format(turns=gate.turns(12), parts=parts)
    (home / "slow" / "slow.yaml").write_text(text)
    found = RunningStack(home / "data", options=("--workspace", f"slow={home / 'slow'}")).start()
    # A function that was never called takes seconds to start: a client may give live updates up.
    with found.live() as socket:
        say(socket, action="ping", id="warm")
        hear(socket, "pong")
    found.stroem("trigger", "breaks", "-w", "slow", "--follow")
    yield found
    found.stop()


@pytest.fixture
def relay(stack):
    with relay_to(stack.port) as running:
        yield running


@pytest.fixture
def follow():
    """Return a way to start the command against a port; its output comes line by line."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS", "STROEM"))}
    running = []

    def start(port, task):
        process = subprocess.Popen(
            [str(STROEM), "trigger", task, "-w", "slow", "--follow"],
            env=environment | {"STROEM_URL": f"http://127.0.0.1:{port}", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        hung = threading.Timer(HUNG_S, process.kill)
        hung.start()
        running.append((process, hung))
        return process

    yield start
    for process, hung in running:
        hung.cancel()
        process.kill()
        process.communicate()


def opened(relay):
    """Return how many live connections were asked for."""
    return bytes(relay.carried).count(b"GET /ws?ticket=")


def test_lines_come_while_the_step_prints_and_no_log_is_polled(relay, follow, gate):
    following = follow(relay.port, "turns")
    for number in range(1, 13):
        # No line is printed before the one above it was seen here.
        gate.open(str(number))
        assert following.stdout.readline() == LINES[number - 1]
    assert following.stdout.read() == ""
    assert following.wait(HUNG_S) == 0
    assert b"/logs" not in relay.carried
    assert opened(relay) > 0


def test_after_a_cut_in_the_middle_no_line_is_missing_and_none_comes_twice(relay, follow, gate):
    following = follow(relay.port, "parts")
    came = []
    for first, last in ((1, 5), (6, 15)):
        gate.open(f"part{first}")
        came += [following.stdout.readline() for _ in range(first, last + 1)]
        before = opened(relay)
        relay.cut()
        # The rest is printed only when the command is there again.
        eventually(lambda before=before: opened(relay) > before)
    gate.open("part16")
    came += list(following.stdout)
    assert following.wait(HUNG_S) == 0
    assert came == LINES
    assert following.stderr.read().count("; reconnected\n") == 1


def test_the_exit_code_is_the_outcome_and_attempts_are_told_apart(relay, follow):
    following = follow(relay.port, "breaks")
    out, err = following.communicate(timeout=HUNG_S)
    assert following.returncode == 1
    assert out == "tries: trying\n── tries: attempt 2 ──\ntries: trying\n"
    assert "tries: failed: Exit code: 3" in err
    assert b"/logs" not in relay.carried
