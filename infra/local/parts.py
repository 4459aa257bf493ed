"""The processes of the stack: each with its log, stopped in order, found again after a crash.

One rule: every part is on the leash, so none outlives the process that started it.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

LEASH = "infra.local.leash"
# Below the ports that systems give to connections that go out: one of those may be taken between
# its choice and the start of the process that is to listen on it.
QUIET_PORTS = range(15_000, 32_000)
TRIES = 100
ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Part:
    """A started process. `name` is what people read; its output goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self) -> str | None:
        """Return how it ended, as people say it, or None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def last_words(self, lines: int = 8) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def start(
    name: str, python: Path, arguments: Iterable[str], log: Path, environment: Mapping[str, str]
) -> Part:
    """Start a module on the leash, in a session of its own: Ctrl-C is for us alone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(python), "-m", LEASH, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    return Part(name, process, log, time.monotonic())


def stop(parts: Iterable[Part], grace_s: float) -> None:
    """Ask all of them to end, wait `grace_s` seconds in total, then kill what is left."""
    running = [part for part in parts if part.process.poll() is None]
    for part in running:
        part.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    for part in running:
        try:
            part.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGKILL)
            part.process.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def command_line(pid: int) -> str:
    """Return the command of a process, or "" when it cannot be seen."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        pass
    try:
        seen = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True
        )
    except OSError:
        return ""
    return seen.stdout.strip()


def free_port(wish: int | None = None) -> int:
    """Return `wish` if it is free on loopback, else a free port that no connection gets."""
    chosen = [secrets.choice(QUIET_PORTS) for _ in range(TRIES)]
    for port in ([wish] if wish else []) + chosen:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("No free port on 127.0.0.1.")


def port_is_free(port: int) -> bool:
    return free_port(port) == port


def port_owner(port: int) -> str:
    """Return who listens on a loopback port, as "pid 12 (command)", or "another program"."""
    pid = _listener(port)
    return f"pid {pid} ({command_line(pid)[:90]})" if pid else "another program"


def _listener(port: int) -> int | None:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            inodes |= {
                r[9] for r in rows if r[3] == "0A" and int(r[1].rpartition(":")[2], 16) == port
            }
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for entry in Path("/proc").glob("[0-9]*/fd/*") if wanted else ():
        with contextlib.suppress(OSError):
            if str(entry.readlink()) in wanted:
                return int(entry.parts[2])
    return _listener_by_lsof(port)


def _listener_by_lsof(port: int) -> int | None:
    command = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t"]
    try:
        seen = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return None
    first = seen.stdout.split()
    return int(first[0]) if first else None
