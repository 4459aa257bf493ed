"""Libraries: actions, tasks and connection types that every workspace has under a prefix.

The one rule: what a library's own files call `x` is `lib.x` in a workspace, wherever it is named;
its secrets, triggers, connections and hooks stay out.
Source: workflow language, section 1.11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib.domain.sources import WorkspaceTree
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import (
    INLINE_PREFIX,
    Action,
    AgentSpec,
    Definition,
    FlowStep,
    Hooks,
    InputField,
    Task,
)

DIRECTORY = "_libraries/"
SECTIONS = ("actions", "tasks", "connection_types")


@dataclass(frozen=True, slots=True)
class Library:
    """A library as its own files say it."""

    name: str
    definition: Definition
    tree: WorkspaceTree


def with_libraries(definition: Definition, libraries: Sequence[Library]) -> Definition:
    """Return the definition with what it has from the libraries."""
    for library in libraries:
        found = _Import(library)
        definition = replace(
            definition,
            actions={**definition.actions, **found.actions()},
            tasks={**definition.tasks, **found.tasks()},
            connection_types={
                **definition.connection_types,
                **{
                    found.name(kind): fields
                    for kind, fields in library.definition.connection_types.items()
                },
            },
        )
    return definition


def with_files(tree: WorkspaceTree, libraries: Sequence[Library]) -> WorkspaceTree:
    """Return the tree with the libraries' files in it."""
    if not libraries:
        return tree
    files = {
        f"{DIRECTORY}{library.name}/{path}": file
        for library in libraries
        for path, file in library.tree.files.items()
    }
    return WorkspaceTree({**tree.files, **files})


def own_files(tree: WorkspaceTree) -> WorkspaceTree:
    """Return the tree without the files of libraries."""
    if not any(path.startswith(DIRECTORY) for path in tree.files):
        return tree
    return WorkspaceTree(
        {path: file for path, file in tree.files.items() if not path.startswith(DIRECTORY)}
    )


class _Import:
    """Gives everything of one library its name in a workspace."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._definition = library.definition

    def name(self, key: str) -> str:
        if key.startswith(INLINE_PREFIX):
            return f"{INLINE_PREFIX}{self._library.name}.{key.removeprefix(INLINE_PREFIX)}"
        return f"{self._library.name}.{key}"

    def actions(self) -> dict[str, Action]:
        return {self.name(key): self._action(a) for key, a in self._definition.actions.items()}

    def tasks(self) -> dict[str, Task]:
        return {self.name(key): self._task(task) for key, task in self._definition.tasks.items()}

    def _action(self, action: Action) -> Action:
        source = action.source
        return replace(
            action,
            key=self.name(action.key),
            source=None if source is None else f"{DIRECTORY}{self._library.name}/{source}",
            task=self._known(action.task, self._definition.tasks),
            agent=None if action.agent is None else self._agent(action.agent),
            input=self._fields(action.input),
        )

    def _task(self, task: Task) -> Task:
        return replace(
            task,
            key=self.name(task.key),
            flow={key: self._step(step) for key, step in task.flow.items()},
            input=self._fields(task.input),
            hooks=Hooks(),
            notify=None,
        )

    def _step(self, step: FlowStep) -> FlowStep:
        if step.action not in self._definition.actions:
            return step
        return replace(step, action=self.name(step.action))

    def _agent(self, agent: AgentSpec) -> AgentSpec:
        return replace(agent, tools=tuple(self._tool(tool) for tool in agent.tools))

    def _tool(self, tool: JsonObject) -> JsonObject:
        task = tool.get("task")
        if not isinstance(task, str):
            return tool
        return {**tool, "task": self._known(task, self._definition.tasks)}

    def _fields(self, fields: Mapping[str, InputField]) -> dict[str, InputField]:
        kinds = self._definition.connection_types
        return {
            name: replace(field, type=self.name(field.type)) if field.type in kinds else field
            for name, field in fields.items()
        }

    def _known(self, key: str | None, known: Mapping[str, object]) -> str | None:
        return self.name(key) if key is not None and key in known else key
