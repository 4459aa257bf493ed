"""Starts one command.

The one rule: a command gets a session of its own, an empty standard input, nothing of the worker's
open files, and exactly the environment and the user that it is given.
"""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chalicelib.runner.spec import StepUser

_BUSY_TRIES = 20
_BUSY_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start. `marker` is a string found in `env` and in no other step's."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    marker: str
    user: StepUser | None = None


def spawn(command: Command) -> subprocess.Popen[bytes]:
    """Start the command; the caller owns its pipes and must wait for it.

    Raises:
        OSError: the program does not start.
        ValueError: an argument or a variable holds a null character.
    """
    for last in (False,) * _BUSY_TRIES + (True,):
        try:
            return _popen(command)
        except OSError as error:
            # Another thread's child may for a moment still hold a freshly written script open.
            if error.errno != errno.ETXTBSY or last:
                raise
        time.sleep(_BUSY_S)
    raise AssertionError


def _popen(command: Command) -> subprocess.Popen[bytes]:
    user = command.user
    return subprocess.Popen(
        command.argv,
        cwd=command.cwd,
        env=command.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
