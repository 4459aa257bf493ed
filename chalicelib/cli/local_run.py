"""Run one job in this process: claim from the memory queue, run as processes, complete.

The engine is called under one lock, steps run outside of it.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from chalicelib.cli.follow import prefixed
from chalicelib.cli.local_engine import memory_engine
from chalicelib.cli.output import say
from chalicelib.domain.errors import ConflictError, TemplateError
from chalicelib.domain.lifecycle import JobStatus, SourceType, StepStatus
from chalicelib.domain.plan import derive
from chalicelib.engine import advance, jobs, steps, workers
from chalicelib.engine.payloads import load_payload
from chalicelib.runner.run import run_step
from chalicelib.runner.spec import Cancel, Host, StepSpec
from chalicelib.runner.working_copy import Tree, WorkingCopies
from chalicelib.workspaces.publish import publish
from chalicelib.workspaces.tarball import extract_into

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.domain.sources import WorkspaceTree
    from chalicelib.domain.values import JsonObject, JsonValue
    from chalicelib.engine.engine import Engine
    from chalicelib.engine.ports import Received
    from chalicelib.engine.steps import Assignment
    from chalicelib.runner.spec import StepResult, StreamName

_WORKSPACE = "local"
_POOL = "script"
_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """How the job ended: `steps` has each step's status, `errors` those that have one."""

    status: str
    output: JsonValue
    steps: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Printer:
    """Prints lines as they come, each whole, behind the step's name."""

    step: str
    out: TextIO
    lock: threading.Lock

    def write(self, stream: StreamName, line: str, at: datetime) -> None:  # noqa: ARG002 - the sink's form
        with self.lock:
            print(prefixed({"step": self.step, "line": line}), file=self.out, flush=True)


@dataclass(slots=True)
class LocalRun:
    """One run. `folder` holds what it needs on disk; the caller removes it."""

    folder: Path
    parallel: int
    out: TextIO
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _printing: threading.Lock = field(default_factory=threading.Lock)
    _cancel: Cancel = field(default_factory=Cancel)
    _engine: Engine = field(default_factory=memory_engine)

    def __call__(self, tree: WorkspaceTree, task: str, given: JsonObject) -> Ended:
        """Run the task to its end. Ctrl-C cancels it, and is raised again when its steps ended.

        Raises:
            InvalidError: the input does not fit, or the task uses what is not executed yet.
        """
        publish(self._engine, _WORKSPACE, tree)
        request = jobs.JobRequest(
            workspace=_WORKSPACE, task=task, input=given, source_type=SourceType.USER
        )
        job = jobs.create(self._engine, request)
        session = workers.register(
            self._engine, workers.Hello(name="local", capabilities=(_POOL,))
        )
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="step") as pool:
            self._drive(job.job_id, session.worker_id, pool)
        return self._ended(job.job_id)

    def _drive(self, job_id: str, session: str, pool: ThreadPoolExecutor) -> None:
        running: set[Future[None]] = set()
        try:
            while not self._has_ended(job_id) or running:
                for received in self._engine.queue.receive(_POOL, _WAIT_S, 10):
                    running.add(pool.submit(self._take, received, session))
                done = {future for future in running if future.done()}
                for future in done:
                    future.result()
                running -= done
        except BaseException:
            say("stopping …")
            self._cancel.set()
            with self._lock, suppress(ConflictError):
                advance.cancel(self._engine, job_id)
            wait(running)
            raise

    def _has_ended(self, job_id: str) -> bool:
        with self._lock:
            return self._engine.jobs.get(job_id).status.is_terminal

    def _take(self, received: Received, session: str) -> None:
        with self._lock:
            try:
                assignment = workers.take(self._engine, received, session, "local")
            except TemplateError:
                # The step has failed with the reason; the job goes on as its flow says.
                return
        if assignment is None:
            return
        result = self._run(assignment)
        outcome = steps.Outcome(
            error=result.error, output=result.output, cancelled=result.cancelled
        )
        with self._lock:
            steps.complete(self._engine, assignment.hold, outcome)

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
            cache_dir=self.folder / "cache",
            clock=self._engine.clock,
            temp_dir=self.folder,
            # Here the person at the keyboard is the worker, and wants what the shell has.
            passed_env=tuple(os.environ),
        )
        printer = _Printer(assignment.hold.ref.step, self.out, self._printing)
        copies = WorkingCopies(self.folder / "cache", extract_into)
        with copies.private_copy(tree, self.folder) as workdir:
            return run_step(spec_of(assignment), workdir, printer, self._cancel, host)

    def _ended(self, job_id: str) -> Ended:
        state = self._engine.jobs.load(job_id)
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


def spec_of(assignment: Assignment) -> StepSpec:
    """Return what the runner needs to know of a claimed attempt."""
    action, rendered = assignment.action, assignment.rendered
    return StepSpec(
        job_id=assignment.hold.ref.job_id,
        workspace=assignment.workspace,
        task=assignment.task,
        step=assignment.hold.ref.step,
        attempt=assignment.hold.attempt,
        language=action.language,
        script=rendered.script,
        source=action.source,
        args=rendered.args,
        env=rendered.env,
        interpreter=action.interpreter,
        dependencies=action.dependencies,
        timeout_s=assignment.timeout_s,
    )
