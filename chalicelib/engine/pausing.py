"""Pause a job with its sub-jobs, or the triggers of a task, and let them go on.

What runs goes on; nothing new begins. The one rule: the job whose pause was asked for is written
first when pausing and last when resuming, so one that was cut off shows as paused, and a repeat
does the rest.
"""

from __future__ import annotations

from contextlib import suppress

from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.engine import loops, queries_registry, schedules
from chalicelib.engine.advance import run
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.engine import Engine


def pause(engine: Engine, job_id: str) -> None:
    """Let nothing new begin in the job, nor in its sub-jobs. Safe to repeat.

    Raises:
        NotFoundError: no such job.
        ConflictError: it has ended.
    """
    engine.jobs.pause(job_id, paused=True)
    for child in _children(engine, job_id):
        with suppress(NotFoundError, ConflictError):
            pause(engine, child)


def resume(engine: Engine, job_id: str) -> None:
    """Let the job go on, and all of its sub-jobs, those too that were paused by themselves.

    Safe to repeat.

    Raises: as `pause`.
    """
    family = _family(engine, job_id)
    for child in reversed(family):
        _let_go_on(engine, child)
    engine.jobs.pause(job_id, paused=False)
    # One that was being made meanwhile may have taken its pause from its parent.
    late = [child for child in _family(engine, job_id) if child not in set(family)]
    for child in late:
        _let_go_on(engine, child)
    agenda = Agenda()
    for one in (job_id, *family, *late):
        agenda.look(one)
    with suppress(UnavailableError, NotFoundError):
        # They go on already; what is not sent or not made yet, the sweep sees to.
        run(engine, agenda)


def pause_task(engine: Engine, workspace: str, task: str, *, paused: bool) -> None:
    """Pause all triggers of a task, or let them go on. Safe to repeat. Its jobs are left alone.

    Those that were made ahead of their time and have not begun are cancelled, though.

    Raises:
        NotFoundError: no such workspace or task.
    """
    name = queries_registry.workspace_of(engine, workspace).name
    if task not in engine.registry.paused_tasks(name):
        # One that is gone from the workspace can still be let go on.
        queries_registry.task_view(engine, name, task)
    engine.registry.pause_task(name, task, paused=paused)
    if paused:
        schedules.call_back_task(engine, name, task)


def _let_go_on(engine: Engine, job_id: str) -> None:
    with suppress(NotFoundError, ConflictError):
        if engine.jobs.get(job_id).paused:
            engine.jobs.pause(job_id, paused=False)


def _family(engine: Engine, job_id: str) -> list[str]:
    """Return all sub-jobs that are at work, each behind its parent."""
    found: list[str] = []
    with suppress(NotFoundError):
        for child in _children(engine, job_id):
            found += [child, *_family(engine, child)]
    return found


def _children(engine: Engine, job_id: str) -> list[str]:
    """Return the sub-jobs of steps and instances that are at work.

    One that is still to be made is not there yet: whoever makes it sees the pause.
    """
    state = engine.jobs.load(job_id)
    own = [record for record in state.steps.values() if not record.status.is_terminal]
    found = own + loops.at_work(engine, state)
    return [record.child for record in found if record.child is not None]
