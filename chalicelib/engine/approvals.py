"""Approvals: ask people, and tell of it. What they say is `answers`' to take.

The one rule: whoever reads the message may not know the secrets, so they are hidden in it before
it is kept anywhere. Source: workflow language, section 1.12.
"""

from __future__ import annotations

from chalicelib.domain import keys
from chalicelib.domain.approvals import LONGEST_LINK, AnswerUrls, answer_until
from chalicelib.domain.errors import TemplateError
from chalicelib.domain.hooks import HookEvent, hooks_of
from chalicelib.domain.job import JobState, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import flow_key
from chalicelib.domain.values import StepRef
from chalicelib.engine import hooks
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.decisions import Decision
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import load_object, store_payload
from chalicelib.engine.redaction import redactor_for
from chalicelib.engine.rendering import Round, render_message


def decide(
    engine: Engine, plan: Plan, state: JobState, ref: StepRef, attempt: int, each: Round | None
) -> Decision:
    """Decide on an approval whose turn has come: `SUSPENDED` with its message, or failed."""
    step = plan.flow.steps[flow_key(ref.step)]
    try:
        message = render_message(engine, plan, state, step, each)
    except TemplateError as error:
        return Decision(status=StepStatus.FAILED, error=error.message)
    redactor = redactor_for(engine, state.job, plan.definition)
    lease = engine.ids.nonce()
    key = keys.output_blob(ref.job_id, ref.step, attempt, lease)
    return Decision(
        status=StepStatus.SUSPENDED,
        output=store_payload(engine.blobs, key, {"approval_message": redactor.text(message)}),
        lease=lease,
        tell=bool(hooks_of(plan.definition, plan.task, state.job, HookEvent.SUSPENDED)),
    )


def tell(
    engine: Engine, agenda: Agenda, plan: Plan, state: JobState, ref: StepRef, record: StepRecord
) -> None:
    """Fire the hooks of the suspension, and note that they were."""
    urls = urls_of(engine, plan, state, ref, record)
    waits = hooks.Suspension(
        ref=ref,
        attempt=record.attempt,
        message=message_of(engine, record),
        approve_url=urls.approve,
        reject_url=urls.reject,
        expires_at=urls.expires_at,
    )
    hooks.fire_suspended(engine, agenda, plan, state, waits)
    engine.jobs.told(ref)


def message_of(engine: Engine, record: StepRecord) -> str:
    """Return what the suspended or answered step asks."""
    return str(load_object(engine.blobs, record.output).get("approval_message", ""))


def urls_of(
    engine: Engine, plan: Plan, state: JobState, ref: StepRef, record: StepRecord
) -> AnswerUrls:
    """Return one-click addresses; they hold while an answer may come, for 7 days at most."""
    latest = engine.clock.now() + LONGEST_LINK
    until = answer_until(plan.flow.steps[flow_key(ref.step)], record, state.job)
    expires_at = latest if until is None else min(latest, until)
    approve, reject = (
        engine.links.approval(ref, record.attempt, approved=approved, expires_at=expires_at)
        for approved in (True, False)
    )
    return AnswerUrls(approve, reject, expires_at)
