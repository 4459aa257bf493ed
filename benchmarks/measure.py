"""The scenarios. Each returns seconds; the report sets them against plain processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import urllib3

DEADLINE_S = 1200
# Rarely: a look at a job of 100 steps costs the emulator as much as two of its steps do.
POLL_S = 0.2


@dataclass(frozen=True)
class Figures:
    """What one run of all scenarios gave; `first_ms` are the single times, in order."""

    first_ms: list[float]
    chain_s: float
    fan_s: float
    many_s: float
    many: int
    loops_s: dict[int, float]

    def percentile(self, share: float) -> float:
        """Return a percentile of trigger → first step, in milliseconds."""
        ordered = sorted(self.first_ms)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def plain_spawn_s(times: int) -> float:
    """Return the median time of one `sh -c true`, started and awaited in a loop."""
    single = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(["sh", "-c", "true"], check=True)
        single.append(time.perf_counter() - began)
    return statistics.median(single)


class Server:
    """The stack's API, as a client sees it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)

    def start(self, task: str, **values: object) -> str:
        """Start a job and return its id."""
        path = f"/api/workspaces/bench/tasks/{task}/execute"
        answer = self._ask("POST", path, {"input": values})
        return str(answer["job_id"])

    def ended(self, job_id: str) -> dict:
        """Wait until the job has ended, and return it."""
        began = time.monotonic()
        while time.monotonic() - began < DEADLINE_S:
            job = self._ask("GET", f"/api/jobs/{job_id}")
            if job["completed_at"]:
                if job["status"] != "completed":
                    raise SystemExit(f"job {job_id} {job['status']}: {json.dumps(job)[:2000]}")
                return job
            # A look at a long loop is a read of all its instances: rarer as it goes on.
            time.sleep(max(POLL_S, (time.monotonic() - began) / 20))
        raise SystemExit(f"job {job_id} did not end within {DEADLINE_S} s")

    def completed(self) -> int:
        """Return how many jobs have completed."""
        return int(self._ask("GET", "/api/stats")["completed"])

    def _ask(self, method: str, path: str, body: object = None) -> dict:
        answer = self._pool.request(
            method,
            self._url + path,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.data.decode()[:500]}")
        found: dict = answer.json()
        return found


def measure(server: Server, first: int, many: int, loops: list[int]) -> Figures:
    """Run every scenario once, after one job that warms everything up.

    `loops` are numbers of instances, one loop each.
    """
    server.ended(server.start("one"))
    first_ms = [_until_first(server.ended(server.start("first"))) for _ in range(first)]
    chain_s = _took(server.ended(server.start("chain")))
    fan_s = _took(server.ended(server.start("fan")))
    many_s = _many(server, many)
    loops_s = {count: _took(server.ended(server.start("loop", count=count))) for count in loops}
    return Figures(first_ms, chain_s, fan_s, many_s, many, loops_s)


def _many(server: Server, many: int) -> float:
    before = server.completed()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda _: server.start("one"), range(many)))
    while server.completed() < before + many:
        if time.monotonic() - began > DEADLINE_S:
            raise SystemExit(f"{many} jobs did not end within {DEADLINE_S} s")
        time.sleep(0.2)
    return time.monotonic() - began


def _until_first(job: dict) -> float:
    return float(job["output"]["step"]) - _instant(job["created_at"]) * 1000


def _took(job: dict) -> float:
    return _instant(job["completed_at"]) - _instant(job["created_at"])


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
