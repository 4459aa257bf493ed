"""Which pool of workers runs an action: the ability it needs, and the tags it asks for.

Source: decision 11; state machines, section 3.12.
"""

from __future__ import annotations

from chalicelib.domain.workflow import Action, ActionType, RunnerKind

_OF_TYPE = {
    ActionType.DOCKER: "docker",
    ActionType.POD: "kubernetes",
    ActionType.AGENT: "agent",
}
_OF_RUNNER = {
    RunnerKind.LOCAL: "script",
    RunnerKind.DOCKER: "docker",
    RunnerKind.POD: "kubernetes",
}


def ability_of(action: Action) -> str:
    """Return what a worker must be able to do to run the action."""
    if action.type is ActionType.SCRIPT:
        return _OF_RUNNER[action.runner]
    return _OF_TYPE.get(action.type, "script")


def pool_of(action: Action) -> str:
    """Return the pool's name: the ability, then the tags in alphabetical order, joined by `-`."""
    return "-".join((ability_of(action), *sorted(set(action.tags))))
