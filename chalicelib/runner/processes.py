"""Finds and signals every process that a step has left, its runaways included.

The one rule: a process belongs to a step when it is in its session, or when its environment names
the step's private folder. So a daemon that took a session of its own is found too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_ROUNDS = 20
_ROUND_S = 0.005
# Within this time no number of a process that ended is given out again.
_NUMBERS_LAST_S = 2.0


def living() -> frozenset[int]:
    """Return the numbers of all processes; none where there is no /proc."""
    if not _PROC.is_dir():
        return frozenset()
    with os.scandir(_PROC) as entries:
        return frozenset(int(entry.name) for entry in entries if entry.name.isdigit())


class StepProcesses:
    """The processes of one step: session `leader`, or `marker` in the environment.

    `older` are those that lived before it began: a short step need not look at them.
    """

    def __init__(self, leader: int, marker: str, older: frozenset[int] = frozenset()) -> None:
        self._leader = leader
        self._marker = marker.encode()
        self._older = older
        self._began = time.monotonic()

    def signal(self, number: signal.Signals) -> int:
        """Send the signal to all of them and return how many others than the leader were found."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        found = list(self.others())
        for pid in found:
            # The group has its signal already; a second TERM could look like impatience.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self._leader:
                    os.kill(pid, number)
        return len(found)

    def kill_all(self) -> None:
        """Kill until none is found any more: a process may fork while we look."""
        for _ in range(_ROUNDS):
            if not self.signal(signal.SIGKILL):
                return
            time.sleep(_ROUND_S)

    def others(self) -> Iterator[int]:
        """Yield the living processes of the step but its leader; none where there is no /proc."""
        is_short = time.monotonic() - self._began < _NUMBERS_LAST_S
        yield from filter(self._owns, sorted(living() - self._older if is_short else living()))

    def _owns(self, pid: int) -> bool:
        if pid in (self._leader, os.getpid()):
            return False
        try:
            is_ours = os.getsid(pid) == self._leader or self._is_marked(pid)
            return is_ours and not _is_dead(pid)
        except OSError:
            return False

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._marker in (_PROC / str(pid) / "environ").read_bytes()
        except PermissionError:
            return False


def _is_dead(pid: int) -> bool:
    # The state follows the program's name, which may itself hold spaces and parentheses.
    state = (_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2][:1]
    return state in (b"Z", b"X")
