"""What a loop goes over, and what one round of it reads and leaves behind.

The one rule: the list of items is kept once, when the loop is expanded, and never changes.
Source: workflow language, section 1.7.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, TemplateError
from chalicelib.domain.job import Job, JobState, LoopRun, StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import Instance, instance_of, parallel_limit
from chalicelib.domain.template import has_template, names_used
from chalicelib.domain.values import JsonValue, Payload, StepRef
from chalicelib.domain.workflow import FlowStep
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.opening import reads_secrets
from chalicelib.engine.payloads import encode, store_blob, store_payload
from chalicelib.engine.rendering import Round, evaluate_items


def keep_items(engine: Engine, job: Job, step: FlowStep, items: list[JsonValue]) -> LoopRun:
    """Keep what `for_each` gave; in the blob store where secrets may be among it."""
    key = keys.items_blob(job.job_id, step.key, sha256(encode(items)).hexdigest()[:16])
    is_secret = job.secret_input is not None or loops_over_secrets(step)
    if is_secret or not isinstance(step.for_each, str):
        return LoopRun(len(items), Payload(ref=store_blob(engine.blobs, key, encode(items))))
    return LoopRun(len(items), store_payload(engine.blobs, key, items))


def round_of(engine: Engine, state: JobState, instance: Instance) -> Round:
    """Return what an instance reads as `each`.

    Raises:
        ConflictError: the state holds no such loop.
    """
    record = state.steps.get(instance.step)
    if record is None or record.loop is None:
        raise ConflictError(f"step {instance.step!r} of job {state.job.job_id} is no begun loop")
    items = engine.items_of(record.loop)
    return Round(items[instance.index], instance.index, record.loop.total)


def loops_over_secrets(step: FlowStep) -> bool:
    """Say whether the step's `for_each` reads secrets of the workspace."""
    return reads_secrets(step.for_each)


def masked_round(
    engine: Engine, plan: Plan, masked: JobState, step: FlowStep, each: Round
) -> Round:
    """Return what an instance would read as `each` if it knew no secrets.

    `masked` is the job without its secret inputs. An item that is worked out from secrets is null.
    """
    items: JsonValue = None
    if not loops_over_secrets(step):
        with suppress(TemplateError):
            items = evaluate_items(engine, plan, masked, step)
    known = items if isinstance(items, list) else []
    item = known[each.index] if each.index < len(known) else None
    return Round(item, each.index, each.total)


def asks_each(step: FlowStep) -> bool:
    """Say whether the step's `when` is asked of each instance: it reads `each`."""
    when = step.when
    is_loop = step.for_each is not None
    return is_loop and when is not None and has_template(when) and "each" in names_used(when)


def ended(
    engine: Engine, agenda: Agenda, step: FlowStep, ref: StepRef, record: StepRecord
) -> None:
    """Go on after the end of a step or of an instance, which first leaves its group.

    The job is looked at where something may follow.
    """
    if instance_of(ref.step) is None:
        agenda.look(ref.job_id, since=ref.step)
        return
    group = engine.jobs.leave_group(ref, failed=record.status is StepStatus.FAILED)
    if record.halted or not group.open or parallel_limit(step) is not None:
        agenda.look(ref.job_id, since=ref.step)
