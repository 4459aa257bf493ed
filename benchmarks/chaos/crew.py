"""Workers that are killed and stopped on purpose, and replaced.

The one rule: a process has a name of its own, so that what it leaves behind tells who it was.
"""

from __future__ import annotations

import signal
import subprocess
from datetime import datetime
from pathlib import Path
from random import Random

from chalicelib.wiring import SystemClock

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / ".venv" / "bin" / "stroem-worker"


class Crew:
    """Half of the workers reach the engine directly, half over HTTP."""

    def __init__(self, folder: Path, direct: dict[str, str], http: dict[str, str]) -> None:
        self._folder = folder
        self._environments = {"direct": direct, "http": http}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._count = 0
        self._stopped: str | None = None
        self._clock = SystemClock()
        self.killed_at: dict[str, datetime] = {}
        self.kills = 0
        self.stops = 0

    def hire(self) -> None:
        """Start one more worker."""
        self._count += 1
        control = ("direct", "http")[self._count % 2]
        name = f"{control}{self._count}"
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [
                    str(WORKER), "--control", control, "--slots", "2", "--name", name,
                    "--cache-dir", str(self._folder / "cache"),
                ],
                env=self._environments[control],
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def kill_one(self, random: Random) -> None:
        """Kill a worker as a power cut does, and start another in its place."""
        names = [name for name in self._running if name != self._stopped]
        name = random.choice(names)
        process = self._running.pop(name)
        process.kill()
        process.wait()
        self.killed_at[name] = self._clock.now()
        self.kills += 1
        self.hire()

    def stop_one(self, random: Random) -> None:
        """Freeze a worker, which others then take for dead."""
        name = random.choice(list(self._running))
        self._stopped = name
        self.killed_at[name] = self._clock.now()
        self._running[name].send_signal(signal.SIGSTOP)
        self.stops += 1

    def wake(self) -> None:
        """Let the frozen worker go on, as if nothing had been."""
        if self._stopped is not None:
            self._running[self._stopped].send_signal(signal.SIGCONT)
            self._stopped = None

    def dismiss(self) -> None:
        """End all of them."""
        self.wake()
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
