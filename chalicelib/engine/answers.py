"""The answer to an approval: check it, let the first one count, and go on with the job.

One rule: what is wrong with an answer costs nothing; the step stays suspended for the next one.
Source: workflow language, section 1.12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.domain import keys
from chalicelib.domain.approvals import (
    TIMED_OUT,
    Answer,
    AnswerUrls,
    answer_until,
    checked_form,
    checked_reason,
    output_of,
)
from chalicelib.domain.errors import ConflictError, FencedError, NotFoundError
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import flow_key
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Action, FlowStep
from chalicelib.engine import ending
from chalicelib.engine.advance import advance, run
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.approvals import message_of, urls_of
from chalicelib.engine.attempts import EndedBy, Hold, clipped
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import store_payload
from chalicelib.engine.ports import StepEnd
from chalicelib.engine.redaction import redactor_for
from chalicelib.engine.rounds import ended
from chalicelib.engine.steps import fail


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that waits for its answer."""

    plan: Plan
    state: JobState
    record: StepRecord
    message: str

    @property
    def ref(self) -> StepRef:
        """Name the step."""
        return StepRef(self.state.job.job_id, self.record.step)

    @property
    def step(self) -> FlowStep:
        """Return the step of the flow."""
        return self.plan.flow.steps[flow_key(self.record.step)]

    @property
    def action(self) -> Action:
        """Return the action, whose inputs are the form."""
        return self.plan.definition.action_of(self.step)


def asked(engine: Engine, job_id: str, step: str, attempt: int | None = None) -> Asked:
    """Return an approval that waits; `attempt` None takes the one that there is.

    Raises:
        NotFoundError: no such job or step.
        ConflictError: it is not suspended: answered, timed out, cancelled, or not asked yet.
    """
    plan = engine.plan_of(engine.jobs.get(job_id))
    found = plan.flow.steps.get(flow_key(step))
    if found is None or (step != found.key and found.for_each is None):
        raise NotFoundError(f"job {job_id} has no step {step[:300]!r}")
    state = engine.jobs.load_steps(job_id, (step,))
    record = state.steps.get(step)
    if record is None or record.status is not StepStatus.SUSPENDED:
        raise _not_suspended(job_id, step, record)
    if state.job.status.is_terminal or attempt not in (None, record.attempt):
        raise _not_suspended(job_id, step, None)
    return Asked(plan, state, record, message_of(engine, record))


def answer(
    engine: Engine, job_id: str, step: str, answer: Answer, attempt: int | None = None
) -> None:
    """End a suspended step with somebody's answer, and go on with its job. The first one counts.

    Raises:
        NotFoundError: no such job or step.
        ConflictError: it is not suspended (any more).
        InvalidError: the form or the reason is not valid; the step stays suspended.
    """
    found = asked(engine, job_id, step, attempt)
    if answer.approved:
        form = checked_form(found.action, found.plan.definition, answer.input)
        answer = replace(answer, input=form)
    else:
        redactor = redactor_for(engine, found.state.job, found.plan.definition)
        answer = replace(answer, reason=redactor.text(checked_reason(answer.reason)))
    _check_time(engine, found)
    try:
        record = _end(engine, found, answer)
    except FencedError:
        raise _not_suspended(job_id, step, None) from None
    agenda = Agenda()
    ended(engine, agenda, found.step, found.ref, record)
    run(engine, agenda)


def links(engine: Engine, job_id: str, step: str) -> AnswerUrls:
    """Return one-click addresses that answer a suspended step.

    Raises:
        NotFoundError: no such job or step.
        ConflictError: it is not suspended.
    """
    found = asked(engine, job_id, step)
    return urls_of(engine, found.plan, found.state, found.ref, found.record)


def _check_time(engine: Engine, found: Asked) -> None:
    """Refuse what comes too late, though nothing has ended the step yet; then end it."""
    until = answer_until(found.step, found.record, found.state.job)
    if until is None or engine.clock.now() < until:
        return
    ref, record = found.ref, found.record
    if ending.expire(engine, found.plan, found.state.job).status.is_terminal:
        advance(engine, ref.job_id)
    else:
        fail(engine, Hold(ref, record.attempt, record.lease or ""), TIMED_OUT, by=EndedBy.SWEEP)
    raise ConflictError(
        f"step {ref.step!r} of job {ref.job_id} is not suspended any more: its time ran out"
    )


def _end(engine: Engine, found: Asked, answer: Answer) -> StepRecord:
    ref, record, now = found.ref, found.record, engine.clock.now()
    nonce = engine.ids.nonce()
    # Apart from what the message lies under: an answer that comes second must not write over it.
    key = keys.output_blob(ref.job_id, ref.step, record.attempt, nonce)
    return engine.jobs.end_step(
        StepEnd(
            ref=ref,
            attempt=record.attempt,
            lease=record.lease or "",
            nonce=nonce,
            status=StepStatus.COMPLETED if answer.approved else StepStatus.FAILED,
            at=now,
            error=None if answer.approved else clipped(answer.reason),
            output=store_payload(engine.blobs, key, output_of(found.message, answer, now)),
        )
    )


def _not_suspended(job_id: str, step: str, record: StepRecord | None) -> ConflictError:
    now = f": it is {record.status}" if record else ""
    return ConflictError(f"step {step!r} of job {job_id} is not suspended{now}")
