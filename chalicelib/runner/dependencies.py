"""Installs what a script depends on, once for each set of dependencies, and keeps it.

The one rule: an installation counts only when its `.complete` file stands, which is written last;
anything else in the cache is rubbish and is built anew. Installers run as the step's user, since
packages bring code of their own; what they built is then closed to later steps' changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chalicelib.domain.errors import InvalidError, UnavailableError
from chalicelib.runner.environment import give_tree, remove_tree
from chalicelib.runner.lines import LineSplitter, Tail
from chalicelib.runner.process import Exit, Limits, StopReason, run_process
from chalicelib.runner.spawn import Command, StepUser
from chalicelib.runner.spec import StreamName

_COMPLETE = ".complete"
_LOCK_POLL_S = 0.1
_PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
_NPM_OPTIONS = ("--no-audit", "--no-fund")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installing:
    """How to run an installer: like the step itself, but elsewhere."""

    workspace: str
    cache_dir: Path
    template: Command
    limits: Limits
    announce: Callable[[str], None]


class Dependencies:
    """Installed sets of dependencies. `stopped` says that an installation was ended, and why."""

    def __init__(self, installing: Installing) -> None:
        self._how = installing
        self.stopped: StopReason | None = None

    def python(self, interpreter: str, uv: str | None, wanted: Sequence[str]) -> str:
        """Return the interpreter of a virtual environment in which `wanted` is installed.

        Raises:
            UnavailableError: the installation failed.
            InvalidError: an option stands among `wanted`.
        """

        def build(folder: Path) -> None:
            venv, python = str(folder / "venv"), str(folder / "venv/bin/python")
            if uv:
                self._run(folder, (uv, "venv", "--quiet", "--python", interpreter, venv))
                self._run(folder, (uv, "pip", "install", "--python", python, *wanted))
            else:
                self._run(folder, (interpreter, "-m", "venv", venv))
                self._run(folder, (python, "-m", "pip", "install", *_PIP_OPTIONS, *wanted))

        return str(self._ensure(os.path.realpath(interpreter), wanted, build) / "venv/bin/python")

    def node_modules(self, program: str, wanted: Sequence[str]) -> Path:
        """Return a `node_modules` folder with `wanted`; `program` is npm or bun.

        Raises:
            UnavailableError: the installation failed.
            InvalidError: an option stands among `wanted`.
        """
        words = ("add",) if Path(program).name == "bun" else ("install", *_NPM_OPTIONS)

        def build(folder: Path) -> None:
            (folder / "package.json").write_text('{"private": true}')
            self._run(folder, (program, *words, *wanted))

        return self._ensure(program, wanted, build) / "node_modules"

    def _ensure(self, tool: str, wanted: Sequence[str], build: Callable[[Path], None]) -> Path:
        _refuse_options(wanted)
        # The workspace is part of the key: a package's code must not reach another's steps.
        facts = json.dumps([self._how.workspace, tool, sorted(wanted)])
        root = self._how.cache_dir / "dependencies"
        root.mkdir(parents=True, exist_ok=True)
        folder = root / hashlib.sha256(facts.encode()).hexdigest()[:32]
        if not (folder / _COMPLETE).exists():
            with self._locked(folder):
                # Another step may have built it while we waited for the lock.
                if not (folder / _COMPLETE).exists():
                    self._how.announce(f"Installing {', '.join(wanted)}")
                    self._build(folder, build)
        return folder

    def _build(self, folder: Path, build: Callable[[Path], None]) -> None:
        user = self._how.template.user
        remove_tree(folder)
        folder.mkdir()
        if user:
            give_tree(folder, user)
        build(folder)
        if user:
            give_tree(folder, StepUser(os.getuid(), os.getgid()))
        (folder / _COMPLETE).touch()

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        with folder.with_suffix(".lock").open("w") as lock:
            while not _try_lock(lock.fileno()):
                self._refuse_if_stopped()
                time.sleep(_LOCK_POLL_S)
            yield

    def _refuse_if_stopped(self) -> None:
        limits = self._how.limits
        if limits.cancel.is_set():
            self.stopped = StopReason.CANCELLED
        elif limits.deadline is not None and time.monotonic() >= limits.deadline:
            self.stopped = StopReason.TIMED_OUT
        if self.stopped:
            raise UnavailableError("The installation of the dependencies was stopped.")

    def _run(self, folder: Path, argv: tuple[str, ...]) -> None:
        tail, splitter = Tail(), LineSplitter()

        def on_data(_: StreamName, data: bytes) -> None:
            for piece in splitter.feed(data):
                tail.add(piece)

        command = replace(self._how.template, argv=argv, cwd=folder)
        ended = run_process(command, self._how.limits, on_data)
        for piece in splitter.finish():
            tail.add(piece)
        self._judge(ended, argv, tail)

    def _judge(self, ended: Exit, argv: tuple[str, ...], tail: Tail) -> None:
        self.stopped = ended.stopped
        if ended.returncode != 0 or ended.stopped:
            raise UnavailableError(
                f"The dependencies could not be installed: `{' '.join(argv)}` ended with "
                f"{ended.returncode}. Check their names and versions, and that this machine "
                f"reaches its package registry.\n{tail.text()}"
            )


def _refuse_options(wanted: Sequence[str]) -> None:
    for name in wanted:
        if name.startswith("-"):
            raise InvalidError(
                f"The dependency {name!r} starts with a dash, which an installer takes for an "
                "option; list packages only."
            )


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
