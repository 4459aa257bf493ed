"""Look at a job, decide what is to be done (`plan.decide`), and do it, until nothing is left.

Each act may be repeated or cut off anywhere; the sweep (`recovery`) picks up what was left.
Source: protocol, "One pure function"; state machines, section 3.6.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from chalicelib.domain.errors import ConflictError, StroemError
from chalicelib.domain.job import AfterAction, Job, JobState
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.loops import flow_key
from chalicelib.domain.plan import (
    Admit,
    Begin,
    Command,
    Dispatch,
    Finish,
    Seed,
    TurnLoop,
    decide,
    ready_before,
)
from chalicelib.domain.values import StepRef
from chalicelib.engine import begin, concurrency, ending, loops, rerun_records, watching
from chalicelib.engine.agenda import Agenda, Look, Stop
from chalicelib.engine.engine import Engine, Plan


def advance(engine: Engine, job_id: str, since: str | None = None) -> None:
    """Look at the job, and at every other job that this leads to: its parent, its sub-jobs.

    `since` names the step or instance whose end is being handled.
    """
    agenda = Agenda()
    agenda.look(job_id, since)
    run(engine, agenda)


def start(engine: Engine, job: Job) -> None:
    """Advance a job that was just made, so that its META need not be read again."""
    agenda = Agenda()
    act(engine, agenda, JobState(job))
    run(engine, agenda)


def advance_from(engine: Engine, state: JobState, since: str) -> None:
    """Advance from a state that was read after the end of `since`."""
    agenda = Agenda()
    with suppress(ConflictError):
        act(engine, agenda, state, since)
    watching.pulse(engine, state.job)
    run(engine, agenda)


def run(engine: Engine, agenda: Agenda) -> None:
    """Take every look of the agenda; one job's fault keeps no other from its turn.

    Raises:
        StroemError: the first fault, when all was tried.
    """
    fault: StroemError | None = None
    while agenda.looks:
        look = agenda.looks.popleft()
        try:
            if look.stop is not None:
                _stop(engine, look.job_id, look.stop)
            state = engine.jobs.load(look.job_id)
            act(engine, agenda, state, look.since)
            watching.pulse(engine, state.job)
        except ConflictError:
            # Another caller ended the job in the meantime, and does what follows.
            continue
        except StroemError as error:
            fault = fault or error
    if fault is not None:
        raise fault


def act(engine: Engine, agenda: Agenda, state: JobState, since: str | None = None) -> None:
    """Do what is to be done about a job that was just read.

    Raises:
        ConflictError: the job was to be ended, and had been already.
    """
    look = Look(state.job.job_id, since)
    plan = engine.plan_of(state.job)
    sent = set(ready_before(plan.flow, state, since))
    # Each round begins or ends a step at least, or is the last.
    for _ in range(2 * len(plan.flow.steps) + 4):
        if state.job.status.is_terminal:
            ending.after_end(engine, agenda, plan, state)
            return
        commands = decide(plan.flow, state, engine.clock.now(), sent)
        if commands and isinstance(commands[0], Finish):
            state = replace(state, job=ending.finish(engine, plan, state.job, commands[0].status))
            continue
        if ending.expire(engine, plan, state.job) is not state.job:
            # Another may have ended it, and since then all its steps, too.
            state = engine.jobs.load(look.job_id)
            continue
        # What is begun here is sent by that, too.
        sent |= {command.step for command in commands if isinstance(command, Dispatch | Begin)}
        changes = [_carry_out(engine, agenda, plan, state, one, look) for one in commands]
        agenda.flush(engine)
        if not any(changes):
            return
        state = engine.jobs.load(look.job_id)


def _carry_out(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, command: Command, look: Look
) -> bool:
    """Say whether the job must be read again: what stands of it was changed."""
    match command:
        case Dispatch(step, attempt, delay_s):
            job = state.job
            agenda.send(plan, job, StepRef(job.job_id, step), attempt, delay_s)
            return False
        case Begin(step, attempt):
            begin.begin(engine, agenda, plan, state, StepRef(look.job_id, step), attempt)
            return True
        case TurnLoop(step):
            return _turn(engine, agenda, plan, state, step, look.since)
        case Admit():
            return _admit(engine, agenda, plan, state)
        case Seed():
            return rerun_records.seed(engine, state)
    return False


def _admit(engine: Engine, agenda: Agenda, plan: Plan, state: JobState) -> bool:
    """Let the job have its slots, or end it where its rule is to skip."""
    admission = concurrency.admit(engine, agenda, plan, state)
    if admission.skipped is not None:
        ending.finish(engine, plan, state.job, JobStatus.SKIPPED, reason=admission.skipped)
    return admission.is_admitted or admission.skipped is not None


def _turn(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, step: str, since: str | None
) -> bool:
    """Turn a loop; one that the end at hand has nothing to do with only if it has just begun."""
    run = state.steps[step].loop
    if run is not None and run.sent == 0:
        since = None
    elif since is not None and flow_key(since) != step:
        return False
    return loops.turn(engine, agenda, plan, state, step, since)


def cancel(
    engine: Engine, job_id: str, *, reason: str = "Cancelled by request", killed: bool = False
) -> Job:
    """Cancel a job that has not ended, and its sub-jobs. What waits is cancelled with it.

    META is written first and the steps are read then; a claim does it the other way round, so one
    of the two always sees the other. Then every step that might go on is halted; workers drop what
    runs, after a grace that `killed` takes away. A cancelled job may be killed while some runs.

    Raises:
        NotFoundError: no such job.
        ConflictError: it has ended already.
    """
    job = engine.jobs.get(job_id)
    if job.status.is_terminal and not (killed and AfterAction.STOP_STEPS in job.after):
        raise ConflictError(f"job {job_id} has ended already: it is {job.status}")
    agenda = Agenda()
    if job.status.is_terminal:
        agenda.cancel(job_id, Stop(reason, killed))
        job = replace(job, killed=True)
    else:
        job = ending.finish(
            engine, engine.plan_of(job), job, JobStatus.CANCELLED, reason=reason, killed=killed
        )
        agenda.look(job_id)
    run(engine, agenda)
    return job


def _stop(engine: Engine, job_id: str, stop: Stop) -> None:
    job = engine.jobs.get(job_id)
    if not job.status.is_terminal:
        plan = engine.plan_of(job)
        ending.finish(
            engine, plan, job, JobStatus.CANCELLED, reason=stop.reason, killed=stop.killed
        )
    elif stop.killed and not job.killed:
        engine.jobs.kill(job_id)
