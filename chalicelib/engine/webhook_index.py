"""Whose webhook a name is: the index is written before a revision is in force, and swept after.

So every hook of a revision in force is found, and what is found besides does no harm.
"""

from __future__ import annotations

from chalicelib.domain.workflow import Definition, TriggerType
from chalicelib.engine.engine import Engine
from chalicelib.engine.ports_webhooks import HookEntry


def announce(
    engine: Engine, workspace: str, definition: Definition, before: Definition | None
) -> list[HookEntry]:
    """Enter the webhooks of a definition that is about to be in force.

    Return the entries of those that only the definition `before` had, for `retire`.
    """
    names = hook_names(definition)
    gone = hook_names(before).keys() - names.keys() if before else set()
    left = [
        entry
        for name in sorted(gone)
        for entry in engine.webhooks.entries(name)
        if entry.workspace == workspace
    ]
    for name, trigger in names.items():
        engine.webhooks.put(HookEntry(name, workspace, trigger, engine.ids.nonce()))
    return left


def retire(engine: Engine, left: list[HookEntry]) -> None:
    """Take entries out that nobody wrote anew since `announce` saw them."""
    for entry in left:
        engine.webhooks.drop(entry)


def hook_names(definition: Definition) -> dict[str, str]:
    """Return the trigger of each webhook's name."""
    return {
        trigger.name: trigger.key
        for trigger in definition.triggers.values()
        if trigger.type is TriggerType.WEBHOOK and trigger.name
    }
