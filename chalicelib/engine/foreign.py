"""Bind a task to the actions of other workspaces that it uses, when its job is made.

The one rule: from then on the job has these revisions of them, as it has its own.
Source: workflow language, section 1.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.foreign import Owner, lent, parts_of, uses, with_owners
from chalicelib.domain.job import Job
from chalicelib.domain.loops import flow_key
from chalicelib.domain.origins import Holder
from chalicelib.domain.support import unsupported
from chalicelib.domain.worker_groups import Scope
from chalicelib.domain.workflow import Definition, Task
from chalicelib.engine.engine import Engine
from chalicelib.engine.queries_registry import workspace_of

Pins = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A definition with what its task takes from elsewhere; `pins` are the revisions of that.

    `owners` are by the full names of the actions.
    """

    definition: Definition
    pins: Pins
    owners: Mapping[str, Owner]


def bind(
    engine: Engine, workspace: str, definition: Definition, task: Task | None, kept: Pins = ()
) -> Bound:
    """Return the definition with the actions that the task and its sub-jobs take from elsewhere.

    Workspaces in `kept` are read at those revisions, others at the one in force.

    Raises:
        InvalidError: there is no such workspace or action, or it is not lent.
    """
    wanted = list(uses(definition, task)) if task is not None else []
    if not wanted and not kept:
        return Bound(definition, (), {})
    owners = {name: _owner(engine, name, revision) for name, revision in kept}
    for step, full in wanted:
        name, action = parts_of(full)
        if name not in owners:
            owners[name] = _in_force(engine, workspace, name, f"step {step!r} uses {full!r}")
        found = lent(owners[name].definition, action)
        if isinstance(found, str):
            raise InvalidError(f"step {step!r} uses {full!r}: of workspace {name!r}: {found}")
    whole, owned = with_owners(definition, owners)
    pins = tuple(sorted((one.workspace, one.revision) for one in owners.values()))
    return Bound(whole, pins, owned)


def bind_runnable(engine: Engine, workspace: str, definition: Definition, task: Task) -> Bound:
    """As `bind`, for a task that is to run now.

    Raises:
        InvalidError: with every reason why it cannot.
    """
    reasons = _reasons(engine, workspace, definition, task)
    if isinstance(reasons, Bound):
        return reasons
    raise InvalidError(f"task {task.key!r} cannot run yet: " + "; ".join(reasons))


def _reasons(
    engine: Engine, workspace: str, definition: Definition, task: Task
) -> Bound | list[str]:
    """Return the bound definition, or what keeps the task from running."""
    try:
        bound = bind(engine, workspace, definition, task)
    except InvalidError as error:
        return [error.message, *unsupported(definition, task)]
    return unsupported(bound.definition, task) or bound


def serves(engine: Engine, scope: Scope, job: Job, step: str) -> bool:
    """Say whether a worker may run the step: of its job's workspace, and of its action's."""
    if not scope.has_workspace(job.workspace):
        return False
    if not job.pins:
        return True
    plan = engine.plan_of(job)
    owner = plan.owner_of(plan.flow.steps[flow_key(step)])
    return owner is None or scope.has_workspace(owner.workspace)


def hindrances(engine: Engine, workspace: str, definition: Definition, task: Task) -> list[str]:
    """Return a sentence for each thing that keeps the task from running now."""
    reasons = _reasons(engine, workspace, definition, task)
    return [] if isinstance(reasons, Bound) else reasons


def _owner(engine: Engine, workspace: str, revision: str) -> Owner:
    return Owner(workspace, revision, engine.definitions.load(workspace, revision))


def _in_force(engine: Engine, user: str, name: str, who: str) -> Owner:
    try:
        record = workspace_of(engine, name)
    except NotFoundError:
        raise InvalidError(f"{who}: there is no workspace or library {name[:80]!r}") from None
    source = engine.sources.get(Holder.WORKSPACE, name)
    if source is not None and not source.source.lends_to(user):
        # As if it were not there: who may not use it need not know of it.
        raise InvalidError(f"{who}: there is no workspace or library {name[:80]!r}")
    if record.revision is None:
        raise InvalidError(f"{who}: workspace {name!r} has no valid revision yet")
    return _owner(engine, name, record.revision)
