"""One attempt of one step on this worker: its files, its run, its log, its report.

The one rule: an attempt that was claimed is reported, whatever goes wrong with it here; only one
that is another's by now is dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from chalicelib.domain.errors import (
    FencedError,
    NotFoundError,
    RateLimitedError,
    StroemError,
    UnavailableError,
)
from chalicelib.domain.values import StepRef
from chalicelib.engine.steps import Assignment, Hold, Outcome
from chalicelib.runner.assigned import spec_of
from chalicelib.runner.environment import step_dirs
from chalicelib.runner.run import run_step
from chalicelib.runner.spawn import StepUser
from chalicelib.runner.spec import GRACE_S, Cancel, Host, StepResult
from chalicelib.runner.working_copy import Tree, WorkingCopies
from workers.control import Control
from workers.emitter import Emitter, Patience
from workers.ending import Ending, delays
from workers.log_stream import LogStream, Pace

_log = logging.getLogger(__name__)

FETCH_S = 60.0
# A step that needs the whole grace to stop still has a second for the end of its log.
LOG_AFTER_ORDER_S = GRACE_S + 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What every attempt on this worker works with. `user_of` says as whom a slot's steps run."""

    control: Control
    copies: WorkingCopies
    host: Host
    ending: Ending = field(default_factory=Ending)
    pace: Pace = field(default_factory=Pace)
    user_of: Callable[[int], StepUser | None] = lambda _: None


class Attempt:
    """One claimed attempt. Any thread may call `watch`, `cancel`, `kill`, `stop`."""

    def __init__(self, assignment: Assignment, kit: Kit) -> None:
        self._assignment = assignment
        self._kit = kit
        self._cancel = Cancel()
        self._stream = LogStream(self.hold, kit.control.append, kit.ending, self._fenced, kit.pace)
        self.watch(is_watched=assignment.watched)
        self._is_ordered = False
        self._is_stopped = False
        self._is_fenced = False

    @property
    def hold(self) -> Hold:
        """Return what names this attempt, lease included."""
        return self._assignment.hold

    @property
    def ref(self) -> StepRef:
        """Return the step."""
        return self._assignment.hold.ref

    def watch(self, *, is_watched: bool) -> None:
        """Take note whether somebody watches the job: then its lines come sooner."""
        self._stream.watch(is_watched=is_watched)

    def cancel(self) -> None:
        """End the step because its job was cancelled: it may clean up within the grace."""
        self._ordered()
        self._cancel.set()

    def kill(self) -> None:
        """End the step because its job was killed: at once, even within the grace."""
        self._ordered()
        # Not by way of `set`: in between, the step would be asked to terminate.
        self._cancel.kill()

    def stop(self) -> None:
        """Kill the step because the worker ends; the attempt is reported as failed."""
        self._is_stopped = True
        self._cancel.kill()

    def run(self, slot: int, may_go_on: Callable[[], bool]) -> Assignment | None:
        """Run the attempt to its reported end; return what the slot is to run next.

        `may_go_on` says, at the end, whether there may be such a thing.
        """
        following = None
        # Files are removed after the report: whoever waits for the step need not wait for that …
        files = ExitStack()
        try:
            outcome = self._outcome(files, slot)
            if not self._stream.close():
                _log.warning("The log of a step is not whole", extra=self._extra())
            following = None if self._is_fenced else self._report(outcome, may_go_on)
        finally:
            if following is None:
                files.close()
            else:
                # … nor need the step that comes next. The process does not end before it is done.
                threading.Thread(target=files.close, name="remove-files", daemon=False).start()
        return following

    def _ordered(self) -> None:
        self._is_ordered = True
        self._stream.give_up_at(time.monotonic() + LOG_AFTER_ORDER_S)

    def _fenced(self) -> None:
        self._is_fenced = True
        self._cancel.kill()
        _log.warning("A step belongs to another attempt now: dropped", extra=self._extra())

    def _outcome(self, stack: ExitStack, slot: int) -> Outcome:
        try:
            return self._execute(stack, slot)
        except StroemError as error:
            return Outcome(error=error.message)
        except Exception as error:  # noqa: BLE001 - a claimed attempt is reported, come what may
            _log.exception("A step could not be run", extra=self._extra())
            return Outcome(error=f"The worker could not run the step: {error!r}")

    def _execute(self, stack: ExitStack, slot: int) -> Outcome:
        kit = self._kit
        spec = spec_of(self._assignment)
        copy = stack.enter_context(kit.copies.private_copy(self._tree(), kit.host.temp_dir))
        dirs = stack.enter_context(step_dirs(kit.host.temp_dir))
        emit = self._emitter(spec.timeout_s)
        host = replace(kit.host, user=kit.user_of(slot), emit=emit.emit if emit else None)
        _log.info("A step begins", extra=self._extra())
        result = run_step(spec, copy, self._stream, self._cancel, host, dirs)
        took = {"exit_code": result.exit_code, "duration_s": round(result.duration_s, 3)}
        _log.info("A step ended", extra=self._extra() | took | {"isolation": result.isolation})
        return self._outcome_of(result)

    def _emitter(self, timeout_s: float | None) -> Emitter | None:
        source, kit = self._assignment.emits, self._kit
        if source is None:
            return None

        def note(text: str) -> None:
            self._stream.write("stderr", text, kit.host.clock.now())

        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        return Emitter(kit.control, self.hold, source, Patience(self._cancel, deadline), note)

    def _outcome_of(self, result: StepResult) -> Outcome:
        if not result.cancelled:
            return Outcome(error=result.error, output=result.output)
        if self._is_stopped and not self._is_ordered:
            error = "Worker stopped: it was shut down, and the step did not end within its grace"
            return Outcome(error=error)
        return Outcome(error=result.error, output=result.output, cancelled=True)

    def _tree(self) -> Tree:
        workspace, revision = self._assignment.workspace, self._assignment.revision
        # The control answers for the digest of what it brings.
        fetch = partial(self._fetch, workspace, revision)
        return Tree(workspace=workspace, revision=revision, sha256=None, fetch=fetch)

    def _fetch(self, workspace: str, revision: str) -> bytes:
        give_up_at = time.monotonic() + FETCH_S
        for delay_s in delays():
            try:
                return self._kit.control.archive(workspace, revision)
            except (UnavailableError, RateLimitedError) as error:
                _log.warning("Files wait", extra=self._extra() | {"error": error.message})
                is_over = time.monotonic() > give_up_at or self._cancel.is_set()
                if is_over or not self._kit.ending.pause(delay_s):
                    raise
        raise AssertionError

    def _report(self, outcome: Outcome, may_go_on: Callable[[], bool]) -> Assignment | None:
        is_refused = False
        for delay_s in delays():
            try:
                return self._kit.control.complete(self.hold, outcome, go_on=may_go_on())
            except (FencedError, NotFoundError) as error:
                _log.warning("A step's end came too late", extra=self._extra(error))
                return None
            except (UnavailableError, RateLimitedError) as error:
                _log.warning("A step's end waits", extra=self._extra(error))
            except StroemError as error:
                _log.exception("A step's end was refused", extra=self._extra(error))
                if is_refused:
                    return None
                is_refused = True
                outcome = Outcome(error=f"The step's outcome was refused: {error.message}")
                continue
            if not self._kit.ending.pause(delay_s):
                _log.error("A step's end could not be reported", extra=self._extra())
                return None
        return None

    def _extra(self, error: StroemError | None = None) -> dict[str, object]:
        extra: dict[str, object] = {
            "job_id": self.ref.job_id,
            "step": self.ref.step,
            "attempt": self.hold.attempt,
        }
        return extra | {"error": error.message} if error else extra
