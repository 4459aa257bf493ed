"""Many connections at once: what they cost the front door, and whether one of them waits longer.

`STROEM_CROWD` says how many are idle (200 by itself).
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.running_stack import RunningStack, eventually

CROWD = int(os.environ.get("STROEM_CROWD", "200"))
LINES = 40
TASKS = """
tasks:
  slow:
    flow:
      count: {type: script, script: "for i in $(seq 1 40); do echo line $i; sleep 0.25; done"}
"""


@pytest.fixture
def loud(tmp_path):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "slow.yaml").write_text(TASKS)
    options = ("--workspace", f"slow={tmp_path / 'slow'}")
    stack = RunningStack(tmp_path / "data", options=options).start()
    yield stack
    stack.stop()


def cost(stack):
    """Return (threads, resident MB) of the front door."""
    status = Path(f"/proc/{stack.part('front door')}/status").read_text()
    threads, resident = (
        status.partition(f"{name}:")[2].split()[0] for name in ("Threads", "VmRSS")
    )
    return int(threads), int(resident) / 1024


def latency_of_a_viewer(stack):
    """Return the lower quartile and the median of the times in s from a print to its coming."""
    path = "/api/workspaces/slow/tasks/slow/execute"
    # Watched from its start, so that the worker holds no line back until it hears of us.
    job_id = stack.post(path, {"input": {}, "watch": True})["job_id"]
    took, ended = [], False
    with stack.live() as socket:
        asked = {"action": "subscribe", "id": "1", "topic": {"job_id": job_id}, "have": []}
        socket.send(json.dumps(asked))
        while not ended:
            told = json.loads(socket.recv(timeout=60))
            now = time.time()  # noqa: TID251 - compared with what the worker printed
            took += [now - printed(row) for row in told.get("lines", ())]
            ended = told["type"] == "end"
    # The first lines wait for our subscription.
    live = sorted(took[len(took) // 2 :])
    return live[len(live) // 4], live[len(live) // 2]


def printed(row):
    return datetime.fromisoformat(row["ts"]).timestamp()


def test_a_viewer_among_many_idle_connections_waits_no_longer(loud, capsys):
    latency_of_a_viewer(loud)
    alone, _ = latency_of_a_viewer(loud)
    with loud.live():
        threads, memory = cost(loud)
        with ExitStack() as opened, ThreadPoolExecutor(8) as pool:
            began = time.monotonic()
            for idle in pool.map(lambda _: loud.live(ping_interval=None), range(CROWD)):
                opened.enter_context(idle)
            opened_s = time.monotonic() - began
            # Those that answered the tickets end when they come to it.
            eventually(lambda: cost(loud)[0] <= threads + 12)
            crowd_threads, crowd_memory = cost(loud)
            among, median = latency_of_a_viewer(loud)
            said = (
                f"{CROWD} idle: opened in {opened_s:.1f} s, threads {threads} -> {crowd_threads}, "
                f"{crowd_memory - memory:+.1f} MB; a line after {median:.2f} s, a quarter of them "
                f"after {among:.2f}, alone {alone:.2f}"
            )
            with capsys.disabled():
                sys.stdout.write(f"\n{said}\n")
            assert crowd_memory - memory < 10 + CROWD * 0.05
            # What else the machine does makes some lines late, the crowd would make all of them.
            assert among < alone + 2.0
