"""Actions of other workspaces: which of them a task uses, and a definition that has them.

The one rule: what is taken from another workspace is one action at a time, under its full name
`workspace.action`; its files, secrets and connections stay with its owner.
Source: workflow language, section 1.11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from chalicelib.domain.support import with_children
from chalicelib.domain.workflow import INLINE_PREFIX, Action, ActionType, Definition, Task

_LENT = frozenset({ActionType.SCRIPT, ActionType.DOCKER, ActionType.POD})


@dataclass(frozen=True, slots=True)
class Owner:
    """The workspace that an action is from, at the revision that the job is pinned to."""

    workspace: str
    revision: str
    definition: Definition


def parts_of(action: str) -> tuple[str, str]:
    """Return the workspace and the action that a full name names."""
    workspace, _, name = action.partition(".")
    return workspace, name


def uses(definition: Definition, task: Task) -> Iterator[tuple[str, str]]:
    """Yield step and action of what the task and its sub-jobs take from elsewhere.

    What the definition itself has comes first, such as an action of a library.
    """
    for one in with_children(definition, task):
        for step in one.flow.values():
            if "." in step.action and step.action not in definition.actions:
                yield step.key, step.action


def foreign_names(definition: Definition) -> frozenset[str]:
    """Return the full names of all actions that the definition takes from elsewhere."""
    named = {step.action for task in definition.tasks.values() for step in task.flow.values()}
    return frozenset(name for name in named if "." in name and name not in definition.actions)


def lent(owner: Definition, name: str) -> Action | str:
    """Return the owner's action if other workspaces may use it, else why not."""
    action = None if name.startswith(INLINE_PREFIX) else owner.actions.get(name)
    if action is None:
        return f"it has no action {name!r}"
    if action.type not in _LENT:
        return f"its action {name!r} is of type {action.type}, which only its own flows can use"
    return action


def with_owners(
    definition: Definition, owners: Mapping[str, Owner]
) -> tuple[Definition, dict[str, Owner]]:
    """Return the definition with the actions that its tasks take from these owners.

    And the owner of each, by its full name. What an owner does not lend is left out.
    """
    taken: dict[str, Action] = {}
    owned: dict[str, Owner] = {}
    for full in sorted(foreign_names(definition)):
        workspace, name = parts_of(full)
        owner = owners.get(workspace)
        action = None if owner is None else lent(owner.definition, name)
        if owner is not None and isinstance(action, Action):
            taken[full], owned[full] = replace(action, key=full), owner
    if not taken:
        return definition, {}
    return replace(definition, actions={**definition.actions, **taken}), owned
