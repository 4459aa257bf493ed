"""Runs one command in a session of its own and sees it through to its end.

The one rule: when `run_process` returns or raises, no process of the command is left, and it
returns within `drain_s` of the main process's end, whoever still holds its pipes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from chalicelib.runner.processes import StepProcesses, living
from chalicelib.runner.spawn import Child, Command
from chalicelib.runner.spec import DRAIN_S, GRACE_S, Cancel, StreamName

_READ_BYTES = 64 * 1024
_POLL_S = 0.05
_LEFTOVER_BYTES = 1024 * 1024
_REAP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to end the command: on request, or at `deadline` (monotonic; None never)."""

    cancel: Cancel
    deadline: float | None = None
    grace_s: float = GRACE_S
    drain_s: float = DRAIN_S


class StopReason(Enum):
    """Why the runner ended the command; its own end has no reason."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Exit:
    """How the main process ended: `returncode` is negative for a signal, None if unknown."""

    returncode: int | None
    stopped: StopReason | None


OnData = Callable[[StreamName, bytes], None]


def run_process(command: Command, limits: Limits, on_data: OnData) -> Exit:
    """Run the command, hand over what it prints as it comes, and return how it ended.

    `on_data` is called in this thread; while it works nothing is read, so it must be quick.

    Raises:
        OSError: the program does not start. ValueError: an argument holds a null character.
    """
    if limits.cancel.is_set():
        return Exit(None, StopReason.CANCELLED)
    older = living()
    child = command.starter.start(command)
    processes = StepProcesses(child.pid, command.marker, older)
    try:
        stopped = _Watch(child, processes, limits, on_data).until_end()
    except BaseException:
        processes.kill_all()
        raise
    finally:
        # Reaped last: until then nobody else can get the number of its process group.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_REAP_S)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return Exit(child.returncode, stopped)


class _Watch:
    """Waits for output, for the end of the main process and for reasons to stop it."""

    def __init__(
        self,
        child: Child,
        processes: StepProcesses,
        limits: Limits,
        on_data: OnData,
    ) -> None:
        self._child = child
        self._processes = processes
        self._limits = limits
        self._on_data = on_data
        self._selector = selectors.DefaultSelector()
        self._open: dict[int, StreamName] = {}
        self._pidfd: int | None = None
        self._exited_at: float | None = None
        self._stopped: StopReason | None = None
        self._kill_at: float | None = None

    def until_end(self) -> StopReason | None:
        with self._watching():
            while not self._is_over(time.monotonic()):
                self._stop_if_due(time.monotonic())
                for key, _ in self._selector.select(self._wait_s(time.monotonic())):
                    self._on_event(key.fd)
            self._processes.kill_all()
            self._read_leftovers()
        return self._stopped

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        wake_in, wake_out = os.pipe()
        os.set_blocking(wake_out, False)
        try:
            self._pidfd = _open_pidfd(self._child.pid)
            self._register(wake_in)
            with self._limits.cancel.waking(lambda: _wake(wake_out)):
                yield
        finally:
            self._selector.close()
            for fd in (wake_in, wake_out, self._pidfd):
                if fd is not None:
                    os.close(fd)

    def _register(self, wake_in: int) -> None:
        self._selector.register(wake_in, selectors.EVENT_READ)
        if self._pidfd is not None:
            self._selector.register(self._pidfd, selectors.EVENT_READ)
        if self._child.stdout is not None and self._child.stderr is not None:
            self._open[self._child.stdout.fileno()] = "stdout"
            self._open[self._child.stderr.fileno()] = "stderr"
        for fd in self._open:
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)

    def _on_event(self, fd: int) -> None:
        if fd in self._open:
            self._read(fd)
        elif fd == self._pidfd:
            self._selector.unregister(fd)
            self._exited_at = time.monotonic()
        else:
            os.read(fd, _READ_BYTES)

    def _read(self, fd: int) -> int:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return 0
        if data:
            self._on_data(self._open[fd], data)
        else:
            self._selector.unregister(fd)
            del self._open[fd]
        return len(data)

    def _read_leftovers(self) -> None:
        # The writers are dead, so a pipe holds at most its capacity; the bound is for the undead.
        for fd in tuple(self._open):
            left = _LEFTOVER_BYTES
            while left > 0 and (size := self._read(fd)):
                left -= size

    def _stop_if_due(self, now: float) -> None:
        cancel, deadline = self._limits.cancel, self._limits.deadline
        if self._exited_at is None and self._stopped is None:
            if cancel.is_set():
                self._terminate(StopReason.CANCELLED, now)
            elif deadline is not None and now >= deadline:
                self._terminate(StopReason.TIMED_OUT, now)
        if self._stopped is not None and cancel.is_kill():
            self._kill_at = now
        if self._kill_at is not None and now >= self._kill_at and self._exited_at is None:
            self._processes.kill_all()

    def _terminate(self, reason: StopReason, now: float) -> None:
        self._stopped = reason
        self._kill_at = now + self._limits.grace_s
        if not self._limits.cancel.is_kill():
            self._processes.signal(signal.SIGTERM)

    def _is_over(self, now: float) -> bool:
        if self._exited_at is None and self._pidfd is None and self._child.poll() is not None:
            self._exited_at = now
        if self._exited_at is None:
            return False
        if self._kill_at is not None:
            # A shell dies of TERM at once; the program that it ran still has the grace.
            return now >= self._kill_at or not any(self._processes.others())
        return not self._open or now >= self._exited_at + self._limits.drain_s

    def _wait_s(self, now: float) -> float | None:
        if self._exited_at is not None or self._pidfd is None:
            return _POLL_S
        if self._kill_at is not None:
            return max(self._kill_at - now, _POLL_S)
        deadline = self._limits.deadline
        return None if deadline is None else max(deadline - now, 0.0)


def _wake(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(fd, b"!")


def _open_pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # an old kernel, or a sandbox that forbids it: we poll instead
