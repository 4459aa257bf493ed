"""What comes by itself over the real stack: lines and changes, in messages and as bare lines."""

import json
from contextlib import ExitStack

import pytest

from tests.e2e.live_messages import hear, say
from tests.e2e.running_stack import RunningStack, eventually

LINES = 24
SLOW = f"""
actions:
  count:
    type: script
    script: "for i in $(seq 1 {LINES}); do echo line $i; sleep 0.2; done"
tasks:
  slow: {{flow: {{count: {{action: count}}}}}}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    home = tmp_path_factory.mktemp("pushes")
    (home / "slow").mkdir()
    (home / "slow" / "slow.yaml").write_text(SLOW)
    found = RunningStack(home / "data", options=("--workspace", f"slow={home / 'slow'}"))
    found.start()
    yield found
    found.stop()


def made(stack, **body):
    path = "/api/workspaces/slow/tasks/slow/execute"
    return stack.post(path, {"input": {}} | body)["job_id"]


def begun(stack, job_id):
    """Wait until a part of the job's log stands."""
    eventually(lambda: "line 3" in stack.get(f"/api/jobs/{job_id}/logs")[1], 30)


def bare_lines(socket):
    """Return the lines that come on Strøm's own path until the job has ended, frame by frame."""
    frames = []
    while not frames or frames[-1][-1]["line"] != "Job completed":
        text = socket.recv(timeout=20)
        frames.append([json.loads(line) for line in text.rstrip("\n").split("\n")])
    return frames


def counted(frames):
    return [row["line"] for rows in frames for row in rows if row["step"] == "count"]


def test_bare_lines_are_first_what_is_there_and_then_what_comes(stack):
    job_id = made(stack)
    begun(stack, job_id)
    with stack.ws(f"/api/jobs/{job_id}/logs/stream") as socket:
        frames = bare_lines(socket)
    assert counted(frames) == [f"line {number}" for number in range(1, LINES + 1)]
    # The first frame has the whole beginning; the rest came while the step went on.
    assert counted(frames[:1])[:3] == ["line 1", "line 2", "line 3"]
    assert len(frames) > 3
    assert frames[0][0]["line"].startswith("Job created")


def test_bare_lines_of_a_job_that_has_ended_are_its_whole_log(stack):
    job_id = made(stack)
    eventually(lambda: '"completed"' in stack.get(f"/api/jobs/{job_id}")[1], 60)
    with stack.ws(f"/api/jobs/{job_id}/logs/stream") as socket:
        frames = bare_lines(socket)
    rows = [row for frame in frames for row in frame]
    assert rows == [json.loads(one) for one in log_of(stack, job_id)]


def log_of(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}/logs")[1])["logs"].rstrip("\n").split("\n")


def test_job_events_have_the_words_of_the_api_and_lines_come_beside_them(stack):
    with ExitStack() as opened:
        job_socket, list_socket = (opened.enter_context(stack.live()) for _ in range(2))
        say(list_socket, action="subscribe", id="all", topic={"workspace": "slow"})
        hear(list_socket, "caught_up")
        job_id = made(stack, watch=True)
        say(job_socket, action="subscribe", id="one", topic={"job_id": job_id})
        told = until_ended(job_socket)
        listed = until_ended(list_socket)
    shown = json.loads(stack.get(f"/api/jobs/{job_id}")[1])
    entry = told[-1]["job"]
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


def until_ended(socket):
    found = []
    while not found or found[-1].get("job", {}).get("status") != "completed":
        found += hear(socket, "job")
    return found
