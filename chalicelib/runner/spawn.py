"""Starts one command.

The one rule: a command gets a session of its own, an empty standard input, nothing of the worker's
open files, and exactly the environment and the user that it is given.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from chalicelib.runner.nursery import start


@dataclass(frozen=True, slots=True)
class StepUser:
    """The unprivileged user that a step's processes run as."""

    uid: int
    gid: int


class Child(Protocol):
    """A process that was started; its number is its own until it was waited for."""

    @property
    def pid(self) -> int:
        """Return its number, which is also that of its session."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Return its output, to be read and closed."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """Return its error output, to be read and closed."""

    @property
    def returncode(self) -> int | None:
        """Return how it ended, negative for a signal; None before anybody asked."""

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, once it has. Raises subprocess.TimeoutExpired."""


class Starter(Protocol):
    """Starts commands for one worker; may be used from any thread."""

    def start(self, command: Command) -> Child:
        """Start the command; the caller owns its pipes and must wait for it.

        Raises:
            OSError: the program does not start.
            ValueError: an argument or a variable holds a null character.
        """


class Forks:
    """Starts commands as children of this process."""

    def start(self, command: Command) -> Child:
        ids = (command.user.uid, command.user.gid) if command.user else None
        pipe = subprocess.PIPE
        return start(command.argv, str(command.cwd), command.env, ids, (pipe, pipe))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start. `marker` is a string found in `env` and in no other step's."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    marker: str
    user: StepUser | None = None
    starter: Starter = field(default_factory=Forks)
