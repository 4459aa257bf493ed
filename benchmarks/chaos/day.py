"""One day of chaos: jobs come in, workers die, messages double, ticks fail; then peace.

The one rule: only what users and the world do is done here; the engine is the product's own.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import boto3
import urllib3

from benchmarks.chaos.crew import Crew
from benchmarks.chaos.flows import WEIGHTS
from benchmarks.stack import RunningStack
from chalicelib import wiring
from chalicelib.domain.errors import StroemError
from chalicelib.domain.values import StepRef
from chalicelib.engine import recovery
from chalicelib.engine.moves import Message
from chalicelib.settings import from_environment
from infra.local.places import stack_environment

KILL_EVERY_S = 2.0
STOPPED_S = 75.0
TICK_S = 30.0


class Day:
    """The stack, its crew, and what was done to both."""

    def __init__(self, stack: RunningStack, folder: Path, random: Random) -> None:
        deployed = json.loads((folder / "data" / "deployed.json").read_text())
        environment = {
            **os.environ,
            **stack_environment(deployed["endpoint"], deployed["outputs"]),
        }
        os.environ.update(environment)
        self.engine = wiring.build(from_environment(environment))
        self._url = stack.url
        self._random = random
        self._http = urllib3.PoolManager(retries=False)
        self._over = threading.Event()
        (folder / "workers").mkdir()
        token = stack.variable("frontdoor", "STROEM_WORKER_TOKEN")
        direct = {**environment, "STROEM_POOLS": "script"}
        http = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS", "STROEM"))
        }
        http |= {"STROEM_URL": stack.url, "STROEM_WORKER_TOKEN": token, "STROEM_POOLS": "script"}
        self.crew = Crew(folder / "workers", direct, http)
        self.jobs: list[str] = []
        self.doubled = self.ticks = self.skipped = self.twice = 0
        self._disable_tick(deployed["endpoint"])

    def live(self, workers: int, for_s: float, rate: float, settle_s: float) -> float:
        """Live through it; return the seconds that it took to settle afterwards."""
        for _ in range(workers):
            self.crew.hire()
        ticker = threading.Thread(target=self._tick, daemon=True)
        ticker.start()
        try:
            self._rage(for_s, rate)
            self._over.set()
            self.crew.wake()
            return self._settle(settle_s)
        finally:
            self.crew.dismiss()

    def _rage(self, for_s: float, rate: float) -> None:
        began = time.monotonic()
        next_job = next_kill = began + 3
        next_stop, wake_at = began + 10, None
        while (now := time.monotonic()) < began + for_s:
            if now >= next_job:
                next_job = now + 1 / rate
                self._ask_for_job()
            if now >= next_kill:
                next_kill = now + KILL_EVERY_S
                self.crew.kill_one(self._random)
            if wake_at is None and now >= next_stop:
                self.crew.stop_one(self._random)
                wake_at = now + STOPPED_S
            elif wake_at is not None and now >= wake_at:
                self.crew.wake()
                wake_at, next_stop = None, now + 5
            time.sleep(0.05)

    def _ask_for_job(self) -> None:
        names, weights = list(WEIGHTS), [weight for weight, _ in WEIGHTS.values()]
        task = self._random.choices(names, weights)[0]
        body = {"input": {"nap": f"{self._random.choice((0.1, 0.3, 1.0, 2.5))}"}}
        path = f"{self._url}/api/workspaces/chaos/tasks/{task}/execute"
        answer = self._http.request("POST", path, json=body, timeout=30)
        if answer.status != 200:
            return
        job_id = answer.json()["job_id"]
        self.jobs.append(job_id)
        if self._random.random() < 0.3:
            message = Message(StepRef(job_id, WEIGHTS[task][1]), 1)
            self.engine.queue.send("script", [(message, self._random.choice((0, 1, 20)))])
            self.doubled += 1

    def _tick(self) -> None:
        while not time.sleep(TICK_S):
            draw = self._random.random()
            if draw < 0.2 and not self._over.is_set():
                self.skipped += 1
                continue
            self.ticks += 1
            times = 2 if draw > 0.9 else 1
            self.twice += times - 1
            for _ in range(times):
                threading.Thread(target=self._sweep, daemon=True).start()

    def _sweep(self) -> None:
        with suppress(StroemError):
            recovery.sweep(self.engine)

    def _settle(self, within_s: float) -> float:
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            if all(self._is_over(job_id) for job_id in self.jobs):
                break
            time.sleep(2)
        return time.monotonic() - began

    def _is_over(self, job_id: str) -> bool:
        job = self.engine.jobs.get(job_id)
        return job.status.is_terminal and job.due is None

    def _disable_tick(self, endpoint: str) -> None:
        events = boto3.client("events", endpoint_url=endpoint, region_name="us-east-1")
        for rule in events.list_rules()["Rules"]:
            events.disable_rule(Name=rule["Name"])
