"""The one way in: run one attempt of one step on this machine.

The one rule: whatever goes wrong with the step becomes its result; only faults of the runner and
of the sink are raised.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from chalicelib.domain.errors import StroemError
from chalicelib.runner.dependencies import Dependencies, Installing
from chalicelib.runner.environment import StepDirs, give_tree, step_dirs, step_environment
from chalicelib.runner.isolation import is_reachable, lost_programs
from chalicelib.runner.languages import Place, invocation
from chalicelib.runner.process import Exit, Limits, StopReason, run_process
from chalicelib.runner.recorder import Recorder
from chalicelib.runner.references import with_references
from chalicelib.runner.spawn import Command, StepUser
from chalicelib.runner.spec import Cancel, Host, LogSink, StepResult, StepSpec


def run_step(
    spec: StepSpec,
    workdir: Path,
    sink: LogSink,
    cancel: Cancel,
    host: Host,
    dirs: StepDirs | None = None,
) -> StepResult:
    """Run the step in `workdir`, its private working copy, and return how it ended.

    `dirs` is given by a caller that fills the state folders before, or reads what the step left
    there and in its artifacts folder; otherwise they are made and removed here. What stands in
    them was written by the step: do not follow links out of them.
    """
    with ExitStack() as stack:
        try:
            spec = with_references(spec, workdir, host)
        except StroemError as failure:
            return _refused(failure.message, host)
        dirs = dirs or stack.enter_context(step_dirs(host.temp_dir))
        user = _user_in_force(spec, workdir, host, dirs)
        if user:
            give_tree(dirs.root, user)
            give_tree(workdir, user)
        recorder = Recorder(sink, host.clock, host.max_log_bytes, spec.secrets, host.emit)
        return _Attempt(spec, workdir, host, dirs, user, recorder, cancel).run()


def _refused(error: str, host: Host) -> StepResult:
    now = host.clock.now()
    return StepResult(exit_code=None, error=error, started_at=now, ended_at=now, duration_s=0.0)


def _user_in_force(spec: StepSpec, workdir: Path, host: Host, dirs: StepDirs) -> StepUser | None:
    user = host.user
    if user is None or lost_programs(user, host.path, spec.interpreter):
        return None
    folders = [workdir.parent, dirs.root.parent]
    if spec.dependencies:
        host.cache_dir.mkdir(parents=True, exist_ok=True)
        folders.append(host.cache_dir)
    return user if all(is_reachable(folder, user) for folder in folders) else None


@dataclass(frozen=True, slots=True)
class _Attempt:
    spec: StepSpec
    workdir: Path
    host: Host
    dirs: StepDirs
    user: StepUser | None
    recorder: Recorder
    cancel: Cancel

    def run(self) -> StepResult:
        started_at, started = self.host.clock.now(), time.monotonic()
        try:
            ended, error = self._execute(self._limits(started))
        except OSError as failure:
            ended, error = Exit(None, None), f"The step's program does not start: {failure}"
        except ValueError as failure:
            ended, error = Exit(None, None), f"The step's script, args or env: {failure}"
        self.recorder.finish()
        return self._result(ended, error, started_at, time.monotonic() - started)

    def _limits(self, started: float) -> Limits:
        timeout_s = self.spec.timeout_s
        return Limits(
            cancel=self.cancel,
            deadline=None if timeout_s is None else started + timeout_s,
            grace_s=self.host.grace_s,
            drain_s=self.host.drain_s,
        )

    def _execute(self, limits: Limits) -> tuple[Exit, str | None]:
        """Return how the process ended, and the error if it was never started."""
        env = step_environment(self.spec, self.host, self.dirs)
        marker = f"{self.dirs.root}/"
        command = Command(
            argv=(),
            cwd=self.workdir,
            env=env,
            marker=marker,
            user=self.user,
            starter=self.host.starter,
        )
        installer = self._installer(command, limits)
        place = Place(
            path=self.host.path,
            user=self.user,
            workdir=self.workdir,
            script_dir=self.dirs.script,
        )
        try:
            how = invocation(self.spec, place, installer)
        except StroemError as failure:
            return Exit(None, installer.stopped), failure.message
        command = replace(command, argv=how.argv, env={**how.env, **env})
        return run_process(command, limits, self.recorder.data), None

    def _installer(self, template: Command, limits: Limits) -> Dependencies:
        return Dependencies(
            Installing(
                workspace=self.spec.workspace,
                cache_dir=self.host.cache_dir,
                template=template,
                limits=limits,
                announce=self.recorder.note,
            )
        )

    def _result(
        self, ended: Exit, error: str | None, started_at: datetime, duration_s: float
    ) -> StepResult:
        scanner = self.recorder.scanner
        told = self._stop_error(ended.stopped) or error or self._exit_error(ended.returncode)
        return StepResult(
            exit_code=_exit_code(ended.returncode),
            error=None if told is None else self.recorder.needles.text(told),
            started_at=started_at,
            ended_at=self.host.clock.now(),
            duration_s=duration_s,
            output=self.recorder.output,
            has_output=scanner.has_output,
            cancelled=ended.stopped is StopReason.CANCELLED,
            timed_out=ended.stopped is StopReason.TIMED_OUT,
            truncated=self.recorder.truncated,
            isolation="user" if self.user else "none",
        )

    def _stop_error(self, stopped: StopReason | None) -> str | None:
        if stopped is StopReason.TIMED_OUT:
            return f"Step timed out after {self.spec.timeout_s:g}s"
        return "Cancelled" if stopped is StopReason.CANCELLED else None

    def _exit_error(self, returncode: int | None) -> str | None:
        if returncode == 0:
            return None
        if returncode is None:
            return "The step's process could not be killed: it hangs in the system's kernel"
        text = f"Exit code: {_exit_code(returncode)}"
        if returncode < 0:
            text += f" (killed by {_signal_name(-returncode)}{_SUSPICION.get(-returncode, '')})"
        tail = self.recorder.stderr_tail.text()
        return f"{text}\nStderr: {tail}" if tail else text


_SUSPICION: dict[int, str] = {signal.SIGKILL: "; often the machine was out of memory"}


def _exit_code(returncode: int | None) -> int | None:
    return 128 - returncode if returncode is not None and returncode < 0 else returncode


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
