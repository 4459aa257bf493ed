"""Whose rights a step's processes have.

The one rule: a step is isolated only when everything that it needs is open to its user; otherwise
it runs as the worker's user, and its result says so.
Source: security S16.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from chalicelib.runner.spawn import StepUser

# Above every user that a distribution makes; systemd sets this range aside for such use.
_FIRST_UID = 61_184
_UIDS = 4_000
_COMMON_PROGRAMS = ("sh", "bash", "python3", "node", "npm", "bun", "deno", "go", "uv", "git", "jq")
_PR_SET_DUMPABLE = 4


def step_user(number: int, worker_uid: int) -> StepUser | None:
    """Return the user for the steps of slot `number`; None unless the worker is root.

    Slots with different numbers get different users, so that steps beside each other can neither
    read nor end each other's processes. The user need not be listed in the password file.
    """
    if worker_uid != 0:
        return None
    uid = _FIRST_UID + number % _UIDS
    return StepUser(uid, uid)


def isolation_in_force(user: StepUser | None, path: str) -> str:
    """Return one sentence for people about what separates steps from the worker."""
    if user is None:
        return "none: steps run as the worker's own user (isolation needs a worker that is root)"
    lost = lost_programs(user, path)
    if lost:
        return (
            f"none: steps run as the worker's own user, because {lost} on PATH is closed to others"
        )
    return f"user: steps run as uid {user.uid}, with no rights of the worker"


@lru_cache(maxsize=256)
def lost_programs(user: StepUser, path: str, interpreter: str | None = None) -> str:
    """Return the common programs that the worker finds on `path` and the user does not, by commas.

    The answer is kept: whoever changes the rights of such a program starts the worker anew.
    """
    names = (*_COMMON_PROGRAMS, interpreter) if interpreter else _COMMON_PROGRAMS
    return ", ".join(
        name
        for name in names
        if find_program(name, path, None) and not find_program(name, path, user)
    )


def find_program(name: str, path: str, user: StepUser | None) -> str | None:
    """Return the first program of that name on `path` that the user (None: we) may run."""
    if user is None:
        return shutil.which(name, path=path)
    if "/" in name:
        return name if can_run(Path(name), user) else None
    for folder in path.split(os.pathsep):
        found = shutil.which(name, path=folder)
        if found and can_run(Path(found), user):
            return found
    return None


def can_run(program: Path, user: StepUser) -> bool:
    """Say whether the user reaches the program, through all folders and links, and may run it."""
    return is_reachable(program.parent, user) and is_reachable(program.resolve(), user)


def is_reachable(path: Path, user: StepUser) -> bool:
    """Say whether the user may enter every folder down to `path`, and enter or run that itself."""
    try:
        return all(_may_execute(part.stat(), user) for part in (path, *path.absolute().parents))
    except OSError:
        return False


def _may_execute(status: os.stat_result, user: StepUser) -> bool:
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def hide_from_steps() -> bool:
    """Close this process's memory and environment to other processes of its user; Linux only.

    For a worker that is not root: its steps have its uid and could read `/proc/<pid>/environ`.
    Returns whether it was done. Core dumps and debuggers are refused from then on.
    """
    if not sys.platform.startswith("linux"):
        return False
    prctl: Callable[[int, int, int, int, int], int] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
