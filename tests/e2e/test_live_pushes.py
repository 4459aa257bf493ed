"""What comes by itself over the real stack: lines and changes, in messages and as bare lines."""

import json
from contextlib import ExitStack

import pytest

from tests.e2e.gates import a_gate
from tests.e2e.live_messages import hear, say
from tests.e2e.running_stack import RunningStack, eventually

EARLY, LINES = 3, 9
TASKS = """
tasks:
  turns:
    flow:
      count:
        type: script
        script: |
          seq -f 'line %g' {early}
          for i in $(seq {next} {lines}); do
            while [ -d {gates} ] && [ ! -e {gates}/$i ]; do echo tick; sleep 0.5; done
            echo line $i
          done
  held: {{flow: {{count: {{type: script, script: "seq -f 'line %g' {early}; {held}; {rest}"}}}}}}
  brief: {{flow: {{count: {{type: script, script: "seq -f 'line %g' {lines}"}}}}}}
"""


@pytest.fixture(scope="module")
def gate():
    with a_gate() as made:
        yield made


@pytest.fixture(scope="module")
def stack(tmp_path_factory, gate):
    home = tmp_path_factory.mktemp("pushes")
    (home / "slow").mkdir()
    text = TASKS.format(
        early=EARLY,
        lines=LINES,
        next=EARLY + 1,
        gates=gate.folder,
        held=gate.shell("held"),
        rest=f"seq -f 'line %g' {EARLY + 1} {LINES}",
    )
    (home / "slow" / "slow.yaml").write_text(text)
    found = RunningStack(home / "data", options=("--workspace", f"slow={home / 'slow'}"))
    found.start()
    yield found
    found.stop()


def made(stack, task, **body):
    path = f"/api/workspaces/slow/tasks/{task}/execute"
    return stack.post(path, {"input": {}} | body)["job_id"]


def begun(stack, job_id):
    """Wait until a part of the job's log stands."""
    last = f"line {EARLY}"
    eventually(lambda: last in stack.get(f"/api/jobs/{job_id}/logs")[1])


def bare_lines(socket, last="Job completed", before=()):
    """Return the lines that came before, and what comes on Strøm's own path up to one of them."""
    rows = [*before]
    while all(row["line"] != last for row in rows):
        text = socket.recv(timeout=60)
        rows += [json.loads(line) for line in text.rstrip("\n").split("\n")]
    return rows


def counted(rows):
    return [row["line"] for row in rows if row["line"].startswith("line ")]


def test_bare_lines_are_first_what_is_there_and_then_what_comes(stack, gate):
    job_id = made(stack, "turns")
    begun(stack, job_id)
    with stack.ws(f"/api/jobs/{job_id}/logs/stream") as socket:
        rows = bare_lines(socket, f"line {EARLY}")
        assert rows[0]["line"].startswith("Job created")
        # What is printed before the worker knows that somebody watches comes with the next line:
        # so the step goes on ticking.
        for number in range(EARLY + 1, LINES + 1):
            assert counted(rows) == [f"line {one}" for one in range(1, number)]
            gate.open(str(number))
            rows = bare_lines(socket, f"line {number}", rows)
        rows = bare_lines(socket, before=rows)
    assert counted(rows) == [f"line {one}" for one in range(1, LINES + 1)]


def test_bare_lines_of_a_job_that_has_ended_are_its_whole_log(stack):
    job_id = made(stack, "brief")
    eventually(lambda: '"completed"' in stack.get(f"/api/jobs/{job_id}")[1])
    with stack.ws(f"/api/jobs/{job_id}/logs/stream") as socket:
        rows = bare_lines(socket)
    assert rows == [json.loads(one) for one in log_of(stack, job_id)]


def log_of(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}/logs")[1])["logs"].rstrip("\n").split("\n")


def test_job_events_have_the_words_of_the_api_and_lines_come_beside_them(stack, gate):
    with ExitStack() as opened:
        job_socket, list_socket = (opened.enter_context(stack.live()) for _ in range(2))
        say(list_socket, action="subscribe", id="all", topic={"workspace": "slow"})
        hear(list_socket, "caught_up")
        job_id = made(stack, "held", watch=True)
        say(job_socket, action="subscribe", id="one", topic={"job_id": job_id})
        told, listed = until(job_socket, "running"), until(list_socket, "running")
        gate.open("held")
        told += until(job_socket, "completed")
        entry = told[-1]["job"]
        listed += until(list_socket, "completed")
        if all(one["type"] != "end" for one in told):
            told += hear(job_socket, "end")
    shown = json.loads(stack.get(f"/api/jobs/{job_id}")[1])
    assert {name: shown[name] for name in entry if name in shown} == entry
    steps = [one["steps"][0]["status"] for one in told if one["type"] == "job" and one["steps"]]
    assert steps[0] == "running"
    assert steps[-1] == "completed"
    numbers = [n for one in told if one["type"] == "lines" for n in spanned(one)]
    assert numbers == sorted(set(numbers))
    assert [one["end"] for one in told if one["type"] == "end"][-1] == LINES
    statuses = [one["job"]["status"] for one in listed if one["type"] == "job"]
    # Changes that come together are told as what stands in the end.
    assert statuses == sorted(statuses, key=["pending", "running", "completed"].index)
    assert statuses[-2:] == ["running", "completed"]


def spanned(message):
    return range(message["first"], message["last"] + 1)


def until(socket, status):
    """Return what comes up to the first message that tells of the job in a status."""
    found = []
    while not found or found[-1].get("job", {}).get("status") != status:
        found += hear(socket, "job")
    return found
