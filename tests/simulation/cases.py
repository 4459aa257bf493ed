"""What is left of a seed: each part that it draws has a name, and may be taken away.

One rule: taking a part away changes nothing of what the seed draws for the others, so that a run
can be made smaller while it still fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chalicelib.domain.workflow import Hooks, Priority

_POLICIES = {
    "when": None,
    "for_each": None,
    "retry": None,
    "timeout_s": None,
    "continue_on_failure": False,
    "max_parallel": None,
    "sequential": False,
}
_TASK_POLICIES = {
    "retry": None,
    "timeout_s": None,
    "concurrency": None,
    "hooks": Hooks(),
    "priority": Priority.NORMAL,
}


@dataclass(frozen=True)
class Case:
    """A seed, without some of its parts. `salt` draws another order of the same events."""

    seed: int
    salt: int = 0
    without: frozenset[str] = frozenset()


@dataclass
class Parts:
    """Which parts a run asked for, and which of them it has."""

    case: Case
    asked: dict = field(default_factory=dict)

    def has(self, name):
        self.asked[name] = None
        return name not in self.case.without

    def cut(self, definition):
        """Return the workspace with what is left of it."""
        if not self.case.without:
            return definition
        tasks = {key: self._task(task) for key, task in definition.tasks.items()}
        hooks = definition.hooks if self.has("hooks of the workspace") else Hooks()
        return replace(definition, tasks=tasks, hooks=hooks)

    def _task(self, task):
        flow = {key: step for key, step in task.flow.items() if self._keeps(task, key)}
        flow = {key: self._step(task, step, flow) for key, step in flow.items()}
        kept = {
            name: none
            for name, none in _TASK_POLICIES.items()
            if getattr(task, name) != none and not self.has(f"{name} of {task.key}")
        }
        return replace(task, flow=flow, **kept)

    def _keeps(self, task, key):
        # A flow has one step at least.
        return key == "s0" or self.has(f"step {task.key}/{key}")

    def _step(self, task, step, flow):
        where = f"{task.key}/{step.key}"
        kept = {
            name: none
            for name, none in _POLICIES.items()
            if getattr(step, name) != none and not self.has(f"{name} of {where}")
        }
        needs = tuple(
            need
            for need in step.depends_on
            if need in flow and self.has(f"need {need} of {where}")
        )
        step = replace(step, depends_on=needs, **kept)
        if step.input and not self.has(f"input of {where}"):
            step = replace(step, input={})
        if step.action != "act" and not self.has(f"{step.action} of {where}"):
            step = replace(step, action="act")
        return step


def parts_of(definition):
    """Return the names of all parts of a workspace."""
    parts = Parts(Case(0, without=frozenset({"nothing"})))
    parts.cut(definition)
    return list(parts.asked)
