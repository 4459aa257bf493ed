"""Begin a step whose turn has come, where that is the engine's to do.

Its `when` is evaluated, its loop expanded, its sub-job started, its approval asked for: each is
decided once, by one conditional write, and kept. Source: state machines, sections 3.2, 3.3, 3.7.
"""

from __future__ import annotations

from dataclasses import replace
from textwrap import shorten

from chalicelib.domain.errors import ConflictError, TemplateError
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.loops import flow_key, instance_of
from chalicelib.domain.values import JsonValue, StepRef
from chalicelib.domain.workflow import MAX_LOOP_ITEMS, ActionType, FlowStep
from chalicelib.engine import approvals, children
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.decisions import Decision
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.ports import StepBegin
from chalicelib.engine.rendering import Round, evaluate_items, evaluate_when
from chalicelib.engine.rounds import asks_each, keep_items, round_of

_SPELLED = 60
_FALSY = frozenset({"", "false", "0", "null", "none"})


def begin(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, ref: StepRef, attempt: int
) -> StepRecord | None:
    """Decide on a step or an instance, and go on with it; return its record.

    None: another caller decided at the same moment.
    """
    step = plan.flow.steps[flow_key(ref.step)]
    decision = _decide(engine, plan, state, ref, attempt, step)
    nonce = engine.ids.nonce()
    wanted = StepBegin(
        ref=ref,
        attempt=attempt,
        nonce=nonce,
        status=decision.status,
        at=engine.clock.now(),
        lease=decision.lease or nonce,
        error=decision.error,
        output=decision.output,
        loop=decision.loop,
        child=decision.child,
        tell=decision.tell,
    )
    try:
        record = engine.jobs.begin_step(wanted)
    except ConflictError:
        return None
    if state.job.status is JobStatus.PENDING and not decision.status.is_terminal:
        engine.jobs.start(ref.job_id, wanted.at)
    state = replace(state, steps={**state.steps, ref.step: record})
    if decision.status is StepStatus.READY:
        agenda.send(plan, state.job, ref, attempt, 0)
    elif decision.child is not None:
        children.ensure(engine, agenda, plan, state, ref, record)
    elif decision.tell:
        approvals.tell(engine, agenda, plan, state, ref, record)
    if instance_of(ref.step) and decision.status.is_terminal:
        engine.jobs.leave_group(ref, failed=decision.status is StepStatus.FAILED)
    return record


def _decide(
    engine: Engine, plan: Plan, state: JobState, ref: StepRef, attempt: int, step: FlowStep
) -> Decision:
    instance = instance_of(ref.step)
    each = round_of(engine, state, instance) if instance else None
    if attempt == 1:
        # Asked once: later attempts do not ask again.
        decided = _asked(engine, plan, state, step, each)
        if decided is not None:
            return decided
        if step.for_each is not None and instance is None:
            return _expanded(engine, plan, state, step)
    match plan.definition.action_of(step).type:
        case ActionType.TASK:
            return children.decide(engine, plan, state, ref, attempt, each)
        case ActionType.APPROVAL:
            return approvals.decide(engine, plan, state, ref, attempt, each)
        case _:
            return Decision(status=StepStatus.READY)


def _asked(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None
) -> Decision | None:
    """Evaluate `when`; None says that the step is to run. Source: workflow language, 1.6.

    One that reads `each` is asked of every instance of the loop, any other of the loop as a whole.
    """
    if step.when is None or asks_each(step) is not (each is not None):
        return None
    try:
        said = evaluate_when(engine, plan, state, step, each)
    except TemplateError as error:
        return Decision(status=StepStatus.FAILED, error=f"when condition error: {error.message}")
    is_false = said.strip().lower() in _FALSY
    return Decision(status=StepStatus.SKIPPED) if is_false else None


def _expanded(engine: Engine, plan: Plan, state: JobState, step: FlowStep) -> Decision:
    """Evaluate `for_each`. Source: workflow language, section 1.7."""
    try:
        items = evaluate_items(engine, plan, state, step)
    except TemplateError as error:
        return _not_expanded(error.message)
    if not isinstance(items, list):
        return _not_expanded(f"it must give a list, not {_spelled(items)}")
    if len(items) > MAX_LOOP_ITEMS:
        return _not_expanded(f"{len(items):,} items are over the limit of {MAX_LOOP_ITEMS:,}")
    if not items:
        return Decision(status=StepStatus.SKIPPED)
    run = keep_items(engine, state.job, step, items)
    return Decision(status=StepStatus.RUNNING, loop=run)


def _not_expanded(reason: str) -> Decision:
    return Decision(status=StepStatus.FAILED, error=f"for_each expression error: {reason}")


def _spelled(value: JsonValue) -> str:
    return shorten(repr(value), _SPELLED, placeholder=" …")
