"""Starts commands through the small process of `nursery.py`, which lives as long as the worker.

The one rule: a question and its answer are not parted, so threads take turns. Where the small
process is lost, another takes its place; how its children ended is then not known.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from chalicelib.runner import nursery
from chalicelib.runner.spawn import Child, Command

_PROGRAM = str(Path(nursery.__file__))
_POLL_S = 0.005
_LOST = -signal.SIGKILL


class Nursery:
    """The small process. It is started at once, and ends with this one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._channel, self._process = _open()

    @property
    def pid(self) -> int:
        """Return the number of the small process."""
        return self._process.pid

    def start(self, command: Command) -> Child:
        out, to_out = os.pipe()
        err, to_err = os.pipe()
        stdout, stderr = os.fdopen(out, "rb", buffering=0), os.fdopen(err, "rb", buffering=0)
        user = command.user
        asked = {
            "argv": command.argv,
            "cwd": str(command.cwd),
            "env": dict(command.env),
            "ids": (user.uid, user.gid) if user else None,
        }
        try:
            try:
                answer = self._ask(asked, (to_out, to_err))
            except ConnectionError:
                answer = self._ask(asked, (to_out, to_err))
            return _Nursed(pid=_pid_in(answer), stdout=stdout, stderr=stderr, nursery=self)
        except BaseException:
            stdout.close()
            stderr.close()
            raise
        finally:
            os.close(to_out)
            os.close(to_err)

    def returncode_of(self, pid: int) -> int | None:
        """Return how a child of the small process ended, once; None while it runs.

        Raises:
            ConnectionError: that process was lost, and the child is another's now.
        """
        code: int | None = self._ask({"pid": pid})["returncode"]
        return code

    def close(self) -> None:
        """End the small process, and what it still has running."""
        self._channel.close()
        self._process.wait()

    def _ask(self, message: object, pipes: tuple[int, ...] = ()) -> dict[str, Any]:
        with self._turn:
            try:
                nursery.send(self._channel, message, pipes)
                answer: dict[str, Any] = nursery.receive(self._channel)[0]
            except (EOFError, ConnectionError):
                self.close()
                self._channel, self._process = _open()
                raise ConnectionError("the process that starts steps was lost") from None
        return answer


def _open() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    with theirs:
        # Isolated, so that nothing of the environment or the folder gets in.
        argv = [sys.executable, "-I", "-S", _PROGRAM, str(theirs.fileno())]
        process = subprocess.Popen(
            argv,
            # Steps of the worker's own user could read what stands there.
            env={},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            # An interrupt from the keyboard is the worker's to handle.
            start_new_session=True,
        )
    return ours, process


def _pid_in(answer: dict[str, Any]) -> int:
    if "value" in answer:
        raise ValueError(answer["value"])
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"], answer["filename"])
    pid: int = answer["pid"]
    return pid


@dataclass(slots=True, kw_only=True)
class _Nursed:
    """A process that is a child of the small one."""

    pid: int
    stdout: IO[bytes]
    stderr: IO[bytes]
    nursery: Nursery
    returncode: int | None = field(default=None)

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                self.returncode = self.nursery.returncode_of(self.pid)
            except ConnectionError:
                self.returncode = _LOST
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if give_up_at is not None and time.monotonic() > give_up_at:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_POLL_S)
        return code
