"""A stack of its own for the benchmarks, started as a user would start it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 60


@dataclass(frozen=True)
class RunningStack:
    """Where it answers, how long it took to be ready, and what its processes hold."""

    url: str
    ready_s: float
    pid: int

    def memory_mib(self) -> dict[str, float]:
        """Return the resident memory of each process of the stack, by a short name."""
        found: dict[str, float] = {}
        for pid in _tree(self.pid):
            name = f"{_name(pid)} {pid}"
            found[name] = _resident_kib(pid) / 1024
        return found

    def variable(self, part: str, name: str) -> str:
        """Return what a part of the stack, such as the front door, was told in its environment."""
        for pid in _tree(self.pid):
            if part in _name(pid):
                told = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
                return next(one for one in told if one.startswith(f"{name}=")).partition("=")[2]
        raise SystemExit(f"the stack has no part {part!r}")


@contextmanager
def running(data: Path, options: Sequence[str], *, is_open: bool = True) -> Iterator[RunningStack]:
    """Start `./dev up` on fresh data, wait until it is ready, and stop it at the end.

    People need not log in there if it `is_open`.
    """
    port = _free_port()
    command = [
        str(ROOT / "dev"),
        "up",
        *(("--open",) if is_open else ()),
        "--port",
        str(port),
        "--data",
        str(data),
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield RunningStack(f"http://127.0.0.1:{port}", _wait_ready(process), process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STOP_S)


def _wait_ready(process: subprocess.Popen[str]) -> float:
    said = []
    for line in process.stdout or ():
        said.append(line)
        ready = re.search(r"Ready in ([\d.]+) s", line)
        if ready:
            return float(ready.group(1))
    raise SystemExit("the stack did not start:\n" + "".join(said))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tree(root: int) -> list[int]:
    pids, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        pids.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(FileNotFoundError):  # a thread that has just ended
                waiting.extend(int(child) for child in task.read_text().split())
    return pids


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    # Each part runs on the stack's leash, as `python -m infra.local.leash MODULE …`.
    if "infra.local.leash" in words:
        return words[words.index("infra.local.leash") + 1]
    return " ".join(Path(word).name for word in words[:3] if not word.startswith("-"))


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = re.search(r"VmRSS:\s+(\d+)", status)
    return int(line.group(1)) if line else 0
