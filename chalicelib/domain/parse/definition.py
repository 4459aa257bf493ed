"""Turns the merged mapping into a Definition.

Every name that is declared comes back, however faulty. Never raises.
"""

from __future__ import annotations

from chalicelib.domain.parse.actions import parse_action
from chalicelib.domain.parse.agents import parse_mcp_servers
from chalicelib.domain.parse.connections import parse_connection_types, parse_connections
from chalicelib.domain.parse.fields import named
from chalicelib.domain.parse.files import Merged
from chalicelib.domain.parse.reader import Reader
from chalicelib.domain.parse.report import Report
from chalicelib.domain.parse.tasks import parse_hooks, parse_task
from chalicelib.domain.parse.triggers import parse_triggers
from chalicelib.domain.parse.webhooks import parse_notify
from chalicelib.domain.workflow import Action, Definition, Task


def parse_definition(merged: Merged, report: Report) -> Definition:
    """Return the definition; what is wrong with it goes to the report."""
    root = Reader(merged.raw, (), report)
    actions = {key: parse_action(key, below) for key, below in named(root, "actions")}
    tasks, hidden = _parse_tasks(root, merged.folders)
    types = parse_connection_types(root)
    return Definition(
        actions={**actions, **hidden},
        tasks=tasks,
        triggers=parse_triggers(root),
        connection_types=types,
        connections=parse_connections(root, types),
        secrets=root.object("secrets"),
        mcp_servers=parse_mcp_servers(root),
        hooks=parse_hooks(root),
        notify=parse_notify(root),
    )


def _parse_tasks(
    root: Reader, folders: dict[str, str | None]
) -> tuple[dict[str, Task], dict[str, Action]]:
    tasks: dict[str, Task] = {}
    hidden: dict[str, Action] = {}
    for key, below in named(root, "tasks"):
        tasks[key], own = parse_task(key, below, folders.get(key))
        hidden.update(own)
    return tasks, hidden
