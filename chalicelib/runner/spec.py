"""What goes into the runner and what comes out of it.

The one rule: everything here is already decided. Templates are rendered, secrets are in `env` or
named there for this machine to resolve, and nobody down here asks the engine for more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Language
from chalicelib.engine.ports import Clock
from chalicelib.runner.spawn import Forks, Starter, StepUser

StreamName = Literal["stdout", "stderr"]

GRACE_S = 10.0
DRAIN_S = 1.0
MAX_LOG_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StepSpec:
    """One attempt of one step, rendered. Exactly one of `script` and `source` is set.

    `source` is a path inside the working copy. `timeout_s` counts from the start of the attempt,
    the installation of dependencies included; None means no limit. `secrets` must not be seen in
    what the step prints; `references` are what marks in `env` and `args` stand for, which this
    machine resolves.
    """

    job_id: str
    workspace: str
    task: str
    step: str
    attempt: int = 1
    language: Language = Language.SHELL
    script: str | None = None
    source: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    interpreter: str | None = None
    dependencies: tuple[str, ...] = ()
    timeout_s: float | None = None
    secrets: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def idempotency_key(self) -> str:
        """Return what the step sees as `STROEM_IDEMPOTENCY_KEY`: the same in every attempt."""
        return f"{self.job_id}/{self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How the attempt ended. The step succeeded if and only if `error` is None.

    `exit_code` is None when no process ran to its end by itself or by a signal; a signal N shows
    as 128+N, as in a shell. `output` means something only with `has_output` (null is an output).
    `truncated` says that the log was cut at its limit. `isolation` is "user" or "none".
    """

    exit_code: int | None
    error: str | None
    started_at: datetime
    ended_at: datetime
    duration_s: float
    output: JsonValue = None
    has_output: bool = False
    cancelled: bool = False
    timed_out: bool = False
    truncated: bool = False
    isolation: str = "none"


class LogSink(Protocol):
    """Takes log lines in the order in which each stream produced them, and numbers them."""

    def write(self, stream: StreamName, line: str, at: datetime) -> None:
        """Take one line without its line end, at most 64 KB of UTF-8. Must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the runner may use of this machine.

    `environ` is the worker's own environment: steps see only its PATH, locale, time zone and the
    names listed in `passed_env`; references may read those that a pattern of `secret_env` matches.
    `cache_dir` keeps installed dependencies between steps. `user` None runs steps as the worker's
    user. Times are seconds. `emit` takes the events of a step that consumes; it may block.
    """

    environ: Mapping[str, str]
    cache_dir: Path
    clock: Clock
    temp_dir: Path | None = None
    passed_env: tuple[str, ...] = ()
    secret_env: tuple[str, ...] = ()
    user: StepUser | None = None
    starter: Starter = field(default_factory=Forks)
    grace_s: float = GRACE_S
    drain_s: float = DRAIN_S
    max_log_bytes: int = MAX_LOG_BYTES
    emit: Callable[[JsonObject], None] | None = None

    @property
    def path(self) -> str:
        """Return the search path for programs."""
        return self.environ.get("PATH") or "/usr/local/bin:/usr/bin:/bin"


class Cancel:
    """Asks a running step to end. May be used from any thread, any number of times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._is_kill = False
        self._wakers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Ask the step's processes to terminate; those left after the grace are killed."""
        self._raise_to(kill=False)

    def kill(self) -> None:
        """Kill the step's processes now."""
        self._raise_to(kill=True)

    def is_set(self) -> bool:
        """Say whether the step was asked to end, in either way."""
        return self._is_set

    def is_kill(self) -> bool:
        """Say whether the grace was waived."""
        return self._is_kill

    @contextmanager
    def waking(self, waker: Callable[[], None]) -> Iterator[None]:
        """Call `waker` at each request while the context lasts; it must be quick and not raise."""
        with self._lock:
            self._wakers.append(waker)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(waker)

    def _raise_to(self, *, kill: bool) -> None:
        with self._lock:
            self._is_set = True
            self._is_kill = self._is_kill or kill
            for waker in self._wakers:
                waker()
