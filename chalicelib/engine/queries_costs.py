"""Read use case: what a job cost, and what its sub-jobs did.

One rule: nothing is written or counted; all follows from the records.
Source: protocol, "Cost budget".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.domain.cost_facts import Facts, Mode
from chalicelib.domain.costs import CostLine, cost_lines, total
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.job import Job, JobState
from chalicelib.domain.pools import pool_of
from chalicelib.domain.prices import Use
from chalicelib.engine import hooks, loops
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.rendering import steps_read

MAX_CHILDREN = 100


@dataclass(frozen=True, slots=True)
class ChildCost:
    """A sub-job, the step that it stands for, and what it used, with its own sub-jobs."""

    job: Job
    step: str
    use: Use


@dataclass(frozen=True, slots=True)
class JobCost:
    """What a job used, by kind of work, and what its sub-jobs used.

    `is_whole` is False where there are more sub-jobs than were looked at.
    """

    job: Job
    mode: Mode
    lines: tuple[CostLine, ...]
    children: tuple[ChildCost, ...]
    is_whole: bool

    @property
    def own(self) -> Use:
        """Return what the job itself used."""
        return total(self.lines)

    @property
    def whole(self) -> Use:
        """Return what the job and its sub-jobs used."""
        return sum((child.use for child in self.children), start=self.own)


def job_cost(engine: Engine, job_id: str, mode: Mode) -> JobCost:
    """Return what the job has cost so far, if its workers reached the engine by `mode`.

    At most `MAX_CHILDREN` sub-jobs are looked at, those of sub-jobs included.

    Raises:
        NotFoundError: no such job.
    """
    return _cost(engine, job_id, mode, _Allowance(MAX_CHILDREN))


@dataclass(slots=True)
class _Allowance:
    """How many more sub-jobs may be looked at; `missed` says that there were more."""

    left: int
    missed: bool = False

    def take(self) -> bool:
        self.left -= 1
        self.missed = self.missed or self.left < 0
        return self.left >= 0


def _cost(engine: Engine, job_id: str, mode: Mode, allowance: _Allowance) -> JobCost:
    state = loops.with_instances(engine, engine.jobs.load(job_id))
    facts = facts_of(engine, state, mode)
    children = tuple(_children(engine, facts, allowance))
    return JobCost(facts.job, mode, cost_lines(facts), children, not allowance.missed)


def facts_of(engine: Engine, state: JobState, mode: Mode) -> Facts:
    """Return what the job's cost follows from; the state holds its loops' instances."""
    plan = engine.plan_of(state.job)
    steps = plan.flow.steps
    return Facts(
        flow=plan.flow,
        state=state,
        chunks=tuple(engine.logs.chunks(state.job.job_id)),
        pools={key: pool_of(plan.definition.action_of(step)) for key, step in steps.items()},
        needs={key: steps_read(plan, step) for key, step in steps.items()},
        hooks=_fires_hooks(plan, state.job),
        mode=mode,
    )


def _fires_hooks(plan: Plan, job: Job) -> bool:
    """Say whether the ended job's end fires hooks; of a chain of tries only the last does."""
    is_over = job.status.is_terminal and job.retry_job is None
    return is_over and bool(hooks.of_end(plan, job, job.status))


def _children(engine: Engine, facts: Facts, allowance: _Allowance) -> Iterator[ChildCost]:
    taken_over = {record.step for record in facts.taken_over}
    for record in (*facts.state.steps.values(), *facts.instances):
        if record.step in taken_over:
            # The job before this one paid for them.
            continue
        past = (one.child for one in record.history)
        for child in dict.fromkeys((*past, record.child)):
            if child is None or not allowance.take():
                continue
            try:
                found = _cost(engine, child, facts.mode, allowance)
            except NotFoundError:
                # It was to be started, and was not.
                continue
            yield ChildCost(found.job, record.step, found.whole)
