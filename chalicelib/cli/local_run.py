"""Run one job in this process: claim from the memory queue, run as processes, complete.

The engine is called under one lock, steps run outside of it. The run lasts as long as any job that
it leads to.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.local_answers import answer_waiting
from chalicelib.cli.local_engine import LOCAL_POOL, memory_engine
from chalicelib.cli.local_family import begin_in_time, last_try, open_jobs
from chalicelib.cli.output import OutputError, emit, prefixed, say
from chalicelib.domain.errors import (
    ConflictError,
    NotFoundError,
    TemplateError,
    UnavailableError,
)
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.plan import derive
from chalicelib.domain.workflow import INLINE_PREFIX
from chalicelib.engine import advance, jobs, steps, workers
from chalicelib.engine.payloads import load_payload
from chalicelib.runner.assigned import spec_of
from chalicelib.runner.run import run_step
from chalicelib.runner.spec import Cancel, Host
from chalicelib.runner.working_copy import Tree, WorkingCopies
from chalicelib.workspaces.publish import publish
from chalicelib.workspaces.tarball import extract_into

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.domain.sources import WorkspaceTree
    from chalicelib.domain.values import JsonObject, JsonValue
    from chalicelib.engine.engine import Engine
    from chalicelib.engine.ports import Received
    from chalicelib.engine.steps import Assignment, Hold
    from chalicelib.runner.spec import StepResult, StreamName

_WORKSPACE = "local"
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """How the job ended: `steps` has each step's status, `errors` those that have one."""

    status: str
    output: JsonValue
    steps: dict[str, str]
    errors: dict[str, str]


@dataclass(slots=True)
class _Printer:
    """Prints lines as they come, each whole, behind the step's name.

    When nobody takes them any more it stops the run, whose steps nobody watches.
    """

    step: str
    out: TextIO
    run: LocalRun

    def write(self, stream: StreamName, line: str, at: datetime) -> None:  # noqa: ARG002 - the sink's form
        with self.run.printing:
            if self.run.unwritable is not None:
                return
            try:
                emit(prefixed({"step": self.step, "line": line}), self.out)
            except OutputError as error:
                self.run.unwritable = error


@dataclass(slots=True)
class LocalRun:
    """One run. `folder` holds what it needs on disk; the caller removes it.

    `signals` grows by one each time that somebody wants an end of it, as with Ctrl-C. `approve`:
    what asks for an approval gets it, else it is rejected.
    """

    folder: Path
    parallel: int
    out: TextIO
    signals: Sequence[int] = ()
    approve: bool = False
    printing: threading.Lock = field(default_factory=threading.Lock)
    unwritable: OutputError | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _cancel: Cancel = field(default_factory=Cancel)
    _engine: Engine = field(default_factory=memory_engine)

    def __call__(self, tree: WorkspaceTree, task: str, given: JsonObject) -> Ended:
        """Run the task to its end.

        Raises:
            SystemExit: a signal came; the job was cancelled and its steps have ended.
            InvalidError: the input does not fit, or the task uses what is not executed yet.
            CommandError: the reader of the output went away; the run was stopped.
        """
        publish(self._engine, _WORKSPACE, tree)
        request = jobs.JobRequest(
            workspace=_WORKSPACE, task=task, input=given, source_type=SourceType.USER
        )
        job = jobs.create(self._engine, request)
        session = workers.register(
            self._engine, workers.Hello(name="local", capabilities=(LOCAL_POOL,))
        )
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="step") as pool:
            self._drive(session.worker_id, pool)
        return self._ended(last_try(self._engine, job.job_id))

    def _drive(self, session: str, pool: ThreadPoolExecutor) -> None:
        running: set[Future[None]] = set()
        try:
            while running or self._open():
                self._raise_if_unwanted()
                # No more than there are threads for: a message that waits here would come twice.
                free = self.parallel - len(running)
                if free:
                    for received in self._engine.queue.receive(LOCAL_POOL, _WAIT_S, free):
                        running.add(pool.submit(self._take, received, session))
                done, running = wait(running, 0 if free else _WAIT_S, FIRST_COMPLETED)
                for future in done:
                    future.result()
                if not running:
                    self._go_on()
        except BaseException:
            self._stop(running)
            raise

    def _raise_if_unwanted(self) -> None:
        if self.signals:
            raise SystemExit(128 + self.signals[0])
        if self.unwritable is not None:
            why = self.unwritable.cause.strerror
            raise CommandError(
                Exit.CANCELLED, f"the run was stopped: nobody takes its output ({why})"
            )

    def _stop(self, running: set[Future[None]]) -> None:
        asked = len(self.signals)
        say("stopping …")
        self._cancel.set()
        for job_id in self._open():
            with self._lock, suppress(ConflictError):
                advance.cancel(self._engine, job_id)
        while running:
            _, running = wait(running, _WAIT_S)
            if len(self.signals) > asked:
                # Asked again: those that take their time to end are killed.
                self._cancel.kill()

    def _go_on(self) -> None:
        for job_id in self._open():
            with self._lock:
                begin_in_time(self._engine, job_id)
                answer_waiting(self._engine, job_id, approve=self.approve)

    def _open(self) -> list[str]:
        with self._lock:
            return open_jobs(self._engine)

    def _take(self, received: Received, session: str) -> None:
        with self._lock:
            try:
                assignment = workers.take(self._engine, received, session, "local")
            except (TemplateError, NotFoundError, UnavailableError):
                # The step has failed with the reason; the job goes on as its flow says.
                return
        if assignment is None:
            return
        say(_heading(assignment))
        result = self._run(assignment)
        outcome = steps.Outcome(
            error=result.error, output=result.output, cancelled=result.cancelled
        )
        with self._lock:
            steps.complete(self._engine, assignment.hold, outcome)
            self._say_if_retried(assignment.hold)

    def _say_if_retried(self, hold: Hold) -> None:
        ref = hold.ref
        record = self._engine.jobs.load_steps(ref.job_id, (ref.step,)).steps[ref.step]
        if record.status is StepStatus.READY and record.retry_at is not None:
            wait_s = (record.retry_at - self._engine.clock.now()).total_seconds()
            why = record.history[-1].error.partition("\n")[0]
            say(f"{record.step}: attempt {hold.attempt} failed: {why}; again in {wait_s:.1f}s")

    def _run(self, assignment: Assignment) -> StepResult:
        revision = self._engine.registry.revision(assignment.workspace, assignment.revision)
        tree = Tree(
            workspace=assignment.workspace,
            revision=assignment.revision,
            sha256=revision.archive.sha256,
            fetch=lambda: self._engine.blobs.get(revision.archive.key),
        )
        host = Host(
            environ=os.environ,
            secret_env=("*",),
            cache_dir=self.folder / "cache",
            clock=self._engine.clock,
            temp_dir=self.folder,
            # Here the person at the keyboard is the worker, and wants what the shell has.
            passed_env=tuple(os.environ),
        )
        printer = _Printer(assignment.hold.ref.step, self.out, self)
        copies = WorkingCopies(self.folder / "cache", extract_into)
        with copies.private_copy(tree, self.folder) as workdir:
            return run_step(spec_of(assignment), workdir, printer, self._cancel, host)

    def _ended(self, job_id: str) -> Ended:
        state = self._engine.jobs.load(job_id)
        for note in state.notes:
            say(note.text)
        flow = self._engine.plan_of(state.job).flow
        outputs = {
            sink: load_payload(self._engine.blobs, state.steps[sink].output)
            for sink in flow.sinks
            if sink in state.steps and state.steps[sink].status is StepStatus.COMPLETED
        }
        found: JsonObject = {sink: value for sink, value in outputs.items() if value is not None}
        return Ended(
            status=str(JobStatus(state.job.status)),
            output=found or None,
            steps={step: str(status) for step, status in derive(flow, state).items()},
            errors={key: record.error for key, record in state.steps.items() if record.error},
        )


def _heading(assignment: Assignment) -> str:
    hold, action = assignment.hold, assignment.action.key
    name = "inline" if action.startswith(INLINE_PREFIX) else action
    attempt = f", attempt {hold.attempt}" if hold.attempt > 1 else ""
    return f"--- Step: {hold.ref.step} (action: {name}{attempt}) ---"
