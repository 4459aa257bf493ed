"""Answer the approvals of a run on this machine: nobody else is there to ask."""

from __future__ import annotations

from contextlib import suppress

from chalicelib.cli.output import say
from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.domain.job import StepRecord
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.engine import answers, loops
from chalicelib.engine.approvals import message_of
from chalicelib.engine.engine import Engine

_UNASKED = "`stroem run` asks nobody: --yes approves"


def answer_waiting(engine: Engine, job_id: str, *, approve: bool) -> None:
    """Answer all that waits in the job and in its sub-jobs; a form gets its defaults."""
    state = engine.jobs.load(job_id)
    for record in (*state.steps.values(), *loops.at_work(engine, state)):
        if record.child is not None and not record.status.is_terminal:
            with suppress(NotFoundError):
                answer_waiting(engine, record.child, approve=approve)
        elif record.status is StepStatus.SUSPENDED:
            with suppress(ConflictError):
                _answer(engine, job_id, record, approve=approve)


def _answer(engine: Engine, job_id: str, record: StepRecord, *, approve: bool) -> None:
    say(f"{record.step}: {message_of(engine, record)}")
    why = _UNASKED
    if approve:
        try:
            answers.answer(engine, job_id, record.step, Answer(approved=True, by="run"))
        except InvalidError as error:
            why = error.message
        else:
            return
    answers.answer(engine, job_id, record.step, Answer(approved=False, by="run", reason=why))
