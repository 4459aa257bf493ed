"""Protocols that are each wrong in one way. The simulator must find every one of them.

A mutant replaces a part of `Build`: a store, the ids, a use case, or a function of the engine.
These are the moves of steps and of jobs; those of loops, families and limits are `mutants_more`.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.domain.errors import ConflictError, NotFoundError, TooEarlyError
from chalicelib.domain.job import AfterAction, JobState
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.plan import unhalted
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerStatus
from chalicelib.engine import ending, recovery, steps, workers
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.moves import JobEnd, Message
from chalicelib.store.claims import handed_back
from chalicelib.store.memory import MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from tests.simulation.scheduler import EPOCH
from tests.simulation.world import Build, SimIds, UseCases

_FAR = EPOCH.replace(year=2030)


class _NoLeaseCheck(MemoryJobs):
    """Whoever ends a running step ends it, whatever attempt and lease it shows.

    Each of the two is enough by itself, since an attempt is claimed once; so both go.
    """

    def end_step(self, end):
        record = self._record(end.ref)
        if record is None:
            return super().end_step(end)
        return super().end_step(replace(end, lease=record.lease, attempt=record.attempt))


class _NoFence(MemoryJobs):
    """A completion is not conditional at all, as in the older orchestrator."""

    def end_step(self, end):
        record = self._record(end.ref)
        if record is None:
            return super().end_step(end)
        ended = replace(
            record, status=end.status, nonce=end.nonce, completed_at=end.at, output=end.output
        )
        return self._put(end.ref, ended)


class _NoAttemptCheck(MemoryJobs):
    """A claim takes whatever is not running, also what has ended."""

    def claim_step(self, claim):
        record = self._record(claim.ref)
        if record is not None and record.status is not StepStatus.RUNNING:
            self._put(claim.ref, replace(record, status=StepStatus.READY, attempt=claim.attempt))
        return super().claim_step(claim)


class _StealingClaim(MemoryJobs):
    """A claim does not ask whether the step is held."""

    def claim_step(self, claim):
        record = self._record(claim.ref)
        if record is not None and record.status is StepStatus.RUNNING:
            self._put(
                claim.ref, replace(record, status=StepStatus.READY, lease=None, retry_at=None)
            )
        return super().claim_step(claim)


class _NoHandBackFence(MemoryJobs):
    """Whoever hands an attempt back does so, whoever holds it by now."""

    def hand_back(self, ref, attempt, lease, nonce):
        return self._put(ref, handed_back(self._record(ref), nonce))


class _SameNonce(SimIds):
    """Every write takes every other for its own."""

    def nonce(self):
        super().nonce()
        return "n"


class _SilentForever(MemoryRegistry):
    """No session is ever found dead."""

    def worker(self, worker_id):
        record = super().worker(worker_id)
        return replace(record, status=WorkerStatus.ACTIVE, last_heartbeat=_FAR, running=None)

    def workers(self):
        return []


class _StaleLoad(MemoryJobs):
    """The query that follows a write does not see it yet, half of the time."""

    def __init__(self):
        super().__init__()
        self._old = {}
        self._reads = 0

    def load(self, job_id):
        state = super().load(job_id)
        old = self._old.get(job_id, state)
        self._old[job_id] = state
        self._reads += 1
        return old if self._reads % 2 else state


class _NoDueAfterEnd(MemoryJobs):
    """The end of a job forgets what is left to do."""

    def finish(self, job_id, end):
        ended = super().finish(job_id, replace(end, after=frozenset()))
        self._jobs[job_id] = replace(self._jobs[job_id], due=None)
        return ended


class _UnconditionalFinish(MemoryJobs):
    """The last who ends a job is right."""

    def finish(self, job_id, end):
        job = self.get(job_id)
        self._jobs[job_id] = replace(job, status=JobStatus.PENDING)
        return super().finish(job_id, end)


class _CreateOverwrites(MemoryJobs):
    """A repeat of an idempotent request begins the job anew."""

    def create(self, job):
        self._jobs[job.job_id] = job
        self._steps.pop(job.job_id, None)
        return job


class _NoHalt(MemoryJobs):
    """Cancelling halts nothing: late messages and late ends go on."""

    def halt_step(self, ref, seen, at):
        raise ConflictError("not halted")


class _PostponeForever(MemoryJobs):
    """A look takes the job out of the index."""

    def postpone(self, job_id, due, looks):
        self._jobs[job_id] = replace(self._jobs[job_id], due=None)


def _sweep_without_dispatch(engine):
    return recovery.sweep(replace(engine, queue=_Unsent(engine.queue)))


class _Unsent:
    def __init__(self, queue):
        self._queue = queue

    def send(self, pool, messages, group=None):
        pass

    def __getattr__(self, name):
        return getattr(self._queue, name)


def _no_sweep(engine):
    engine.jobs.due(engine.clock.now(), 0)


def _delete_before_claim(engine, received, session, worker):
    engine.queue.delete(received)
    try:
        return steps.claim(engine, received.message, session, worker)
    except TooEarlyError:
        return None


def _dispatch_before_write(engine, hold, outcome):
    """Send what will be ready before the end is written."""
    state = engine.jobs.load(hold.ref.job_id)
    flow = engine.plan_of(state.job).flow
    waiting = [
        key
        for key, step in flow.steps.items()
        if hold.ref.step in step.depends_on and key not in state.steps
    ]
    engine.queue.send("script", [(Message(StepRef(hold.ref.job_id, k), 1), 0) for k in waiting])
    steps.complete(engine, hold, outcome)


def _complete_before_output(engine, hold, outcome):
    """Write the end first and the output after it."""
    late = _LateBlobs(engine.blobs)
    try:
        steps.complete(replace(engine, blobs=late), hold, outcome)
    finally:
        late.flush()


class _LateBlobs:
    def __init__(self, blobs):
        self._blobs = blobs
        self._held = {}

    def put(self, key, content):
        self._held[key] = content

    def flush(self):
        for key, content in self._held.items():
            self._blobs.put(key, content)

    def __getattr__(self, name):
        return getattr(self._blobs, name)


class _Counting:
    """Counters of what each step still waits for, taken down at each report of an end."""

    def __init__(self):
        self._left = defaultdict(dict)

    def __call__(self, engine, hold, outcome, taker=None):
        steps.complete(engine, hold, outcome)
        state = engine.jobs.load(hold.ref.job_id)
        if state.job.status.is_terminal or outcome.error is not None:
            return
        left = self._left[hold.ref.job_id]
        for key, step in engine.plan_of(state.job).flow.steps.items():
            if hold.ref.step in step.depends_on:
                left[key] = left.get(key, len(step.depends_on)) - 1
                if left[key] <= 0:
                    engine.queue.send("script", [(Message(StepRef(hold.ref.job_id, key), 1), 0)])


def _with_counters(counting):
    return replace(UseCases(), complete=counting, complete_and_claim=counting)


def _cancel_reads_before_writing(engine, job_id, *, killed=False):
    state = engine.jobs.load(job_id)
    plan, now = engine.plan_of(state.job), engine.clock.now()
    after = frozenset({AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})
    end = JobEnd(
        status=JobStatus.CANCELLED, at=now, nonce=engine.ids.nonce(), after=after, killed=killed
    )
    ended = engine.jobs.finish(job_id, end)
    for step in unhalted(plan.flow, state):
        with suppress(ConflictError):
            engine.jobs.halt_step(StepRef(job_id, step), state.steps.get(step), now)
    engine.jobs.after_done(job_id, AfterAction.STOP_STEPS)
    left = replace(ended, after=frozenset({AfterAction.ARCHIVE_LOG}))
    ending.after_end(engine, Agenda(), plan, JobState(left, state.steps))
    return ended


def _claim_without_looking(engine, received, session, worker):
    """Believe in META as it was before the claim."""
    try:
        before = engine.jobs.get(received.message.ref.job_id)
    except NotFoundError:
        return None
    if before.status.is_terminal:
        return workers.take(engine, received, session, worker)
    return workers.take(
        replace(engine, jobs=_OldMeta(engine.jobs, before)), received, session, worker
    )


class _OldMeta:
    def __init__(self, jobs, before):
        self._jobs = jobs
        self._before = before

    def load_steps(self, job_id, steps):
        return JobState(self._before, self._jobs.load_steps(job_id, steps).steps)

    def __getattr__(self, name):
        return getattr(self._jobs, name)


def _retry_in_place(engine, hold, outcome):
    """Report again under a new lease when the first report was refused."""
    try:
        steps.complete(engine, hold, outcome)
    except ConflictError:
        found = engine.jobs.load_steps(hold.ref.job_id, (hold.ref.step,)).steps
        record = found[hold.ref.step]
        newer = replace(hold, attempt=record.attempt, lease=record.lease or "")
        steps.complete(engine, newer, outcome)


def use(**changed):
    """Return what makes the use cases, some of them others."""
    return lambda: replace(UseCases(), **changed)


@dataclass(frozen=True)
class Mutant:
    """A wrong protocol."""

    name: str
    build: Build


MUTANTS = (
    Mutant("no lease check at the end", Build(jobs=_NoLeaseCheck)),
    Mutant("unconditional completion", Build(jobs=_NoFence)),
    Mutant("no attempt check at the claim", Build(jobs=_NoAttemptCheck)),
    Mutant("claim takes what another holds", Build(jobs=_StealingClaim)),
    Mutant("hand back without a fence", Build(jobs=_NoHandBackFence)),
    Mutant("nonces are not unique", Build(ids=_SameNonce)),
    Mutant("no sweep of sessions", Build(registry=_SilentForever)),
    Mutant("no sweep", Build(use_cases=use(sweep=_no_sweep))),
    Mutant("no dispatch in the sweep", Build(use_cases=use(sweep=_sweep_without_dispatch))),
    Mutant("message deleted before the claim", Build(use_cases=use(take=_delete_before_claim))),
    Mutant("stale load", Build(jobs=_StaleLoad)),
    Mutant("dispatch before the write", Build(use_cases=use(complete=_dispatch_before_write))),
    Mutant("end before the output", Build(use_cases=use(complete=_complete_before_output))),
    Mutant(
        "counters instead of deriving",
        Build(use_cases=lambda: _with_counters(_Counting())),
    ),
    Mutant("after-actions forgotten", Build(jobs=_NoDueAfterEnd)),
    Mutant("unconditional end of the job", Build(jobs=_UnconditionalFinish)),
    Mutant("create overwrites", Build(jobs=_CreateOverwrites)),
    Mutant("cancel halts nothing", Build(jobs=_NoHalt)),
    Mutant("due forgotten", Build(jobs=_PostponeForever)),
    Mutant("cancel reads first", Build(use_cases=use(cancel=_cancel_reads_before_writing))),
    Mutant("claim looks first", Build(use_cases=use(take=_claim_without_looking))),
    Mutant("stale report under a new lease", Build(use_cases=use(complete=_retry_in_place))),
)
