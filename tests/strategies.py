"""Builds workspaces for property tests:

valid ones, and each invalid one by a single planted fault.

What is built is JSON, which is YAML: nothing depends on how a YAML library would write it.
"""

import json
from dataclasses import dataclass

from hypothesis import strategies as st

from chalicelib.domain.sources import SourceFile, WorkspaceTree

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
TEXTS = st.text("abc xyz:#-æø0123", min_size=1, max_size=12).filter(str.strip)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
RETRIES = st.fixed_dictionaries(
    {},
    optional={
        "max_attempts": st.integers(1, 10),
        "delay": st.integers(1, 3_600) | st.sampled_from(["30s", "1m", "1h"]),
        "backoff": st.sampled_from(["fixed", "exponential"]),
        "jitter": st.booleans(),
    },
)
INPUTS = st.dictionaries(
    NAMES,
    st.one_of(
        st.fixed_dictionaries({"type": st.just("string")}, optional={"default": TEXTS}),
        st.fixed_dictionaries({"type": st.just("integer")}, optional={"default": st.integers()}),
        st.just({"options": ["a", "b"], "multiple": True, "default": ["a"]}),
        st.just({"type": "boolean", "required": True, "description": "d", "order": 1}),
    ),
    max_size=3,
)
SCRIPTS = st.fixed_dictionaries(
    {"type": st.just("script"), "script": TEXTS},
    optional={
        "language": st.sampled_from(["shell", "python", "js", "ts", "go"]),
        "env": st.dictionaries(NAMES, TEXTS, max_size=2),
        "tags": st.lists(NAMES, max_size=2),
        "args": st.lists(TEXTS, max_size=2),
        "runner": st.sampled_from(["local", "docker", "pod"]),
        "output": st.dictionaries(NAMES, st.just({"type": "array"}), max_size=2),
        "input": INPUTS,
    },
)
CONTAINERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["docker", "pod"]), "image": NAMES},
    optional={"cmd": TEXTS, "command": st.lists(TEXTS, max_size=2), "workdir": TEXTS},
)
APPROVALS = st.fixed_dictionaries({"type": st.just("approval"), "message": TEXTS})
AGENTS = st.fixed_dictionaries(
    {"type": st.just("agent"), "provider": NAMES, "prompt": TEXTS},
    optional={"temperature": st.sampled_from([0, 0.5, 2]), "max_turns": st.integers(1, 100)},
)
ACTIONS = st.one_of(SCRIPTS, CONTAINERS, APPROVALS, AGENTS)
_STEP_EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS,
        "timeout": st.integers(1, 86_400),
        "retry": RETRIES,
        "continue_on_failure": st.booleans(),
        "when": st.just("{{ input.go }}"),
        "for_each": st.lists(VALUES, max_size=3) | st.just("{{ input.list | json_encode }}"),
        "max_parallel": st.integers(1, 10_000),
    },
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.sampled_from(["high", "normal", "low"]),
        "concurrency": st.integers(1, 500)
        | st.fixed_dictionaries(
            {},
            optional={
                "limit": st.integers(1, 500),
                "key": st.just("{{ input.env }}-{{ input.region }}"),
                "on_limit": st.sampled_from(["queue", "skip", "cancel_previous"]),
            },
        ),
    },
)


@st.composite
def flows(draw, actions):
    """Return a flow whose steps depend on earlier ones only."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    flow = {}
    for name in names:
        step = {**draw(_STEP_EXTRAS)}
        if actions and draw(st.booleans()):
            step |= {"action": draw(st.sampled_from(actions))}
            step["input"] = draw(st.dictionaries(NAMES, VALUES, max_size=2))
        else:
            step |= {key: value for key, value in draw(ACTIONS).items() if key != "name"}
        if flow:
            step["depends_on"] = draw(st.lists(st.sampled_from(list(flow)), unique=True))
        flow[name] = step
    return flow


@st.composite
def workspaces(draw):
    """Return a valid workspace as JSON values, with at least one task."""
    actions = draw(st.dictionaries(NAMES, ACTIONS, max_size=3))
    hooks = [{"action": name} for name in list(actions)[:1]]
    tasks = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        tasks[name] = {"flow": draw(flows(list(actions))), "input": draw(INPUTS)}
        if draw(st.booleans()):
            tasks[name] |= {"timeout": "1h30m", "retry": draw(RETRIES), "on_error": hooks}
        tasks[name] |= draw(LIMITS)
    trigger = {"type": "scheduler", "cron": "0 0 * * MON#1", "task": next(iter(tasks))}
    found = {"actions": actions, "tasks": tasks, "secrets": draw(st.dictionaries(NAMES, TEXTS))}
    if draw(st.booleans()):
        found |= {"triggers": {"nightly": trigger}, "on_success": hooks}
    return found


def tree_of(raw):
    """Return the workspace of one file."""
    return WorkspaceTree({"w.yaml": SourceFile(json.dumps(raw, ensure_ascii=False).encode())})


@dataclass(frozen=True)
class Fault:
    """One fault planted: the path that a finding must name, and the workspace that has it."""

    path: str
    raw: dict


def _first_task(raw):
    key = next(iter(raw["tasks"]))
    return key, raw["tasks"][key]


def _unknown_dependency(raw):
    key, task = _first_task(raw)
    step = next(iter(task["flow"]))
    task["flow"][step]["depends_on"] = ["no-such-step"]
    return f"tasks.{key}.flow.{step}.depends_on[0]"


def _cycle(raw):
    key, task = _first_task(raw)
    step = next(iter(task["flow"]))
    task["flow"][step]["depends_on"] = [step]
    return f"tasks.{key}.flow.{step}.depends_on"


def _long_timeout(raw):
    key, task = _first_task(raw)
    task["timeout"] = 7 * 86_400 + 1
    return f"tasks.{key}.timeout"


def _bad_when(raw):
    key, task = _first_task(raw)
    step = next(iter(task["flow"]))
    task["flow"][step]["when"] = "{{ input."
    return f"tasks.{key}.flow.{step}.when"


def _unknown_task(raw):
    raw["triggers"] = {"x": {"type": "webhook", "name": "x", "task": "no-such-task"}}
    return "triggers.x.task"


def _bad_cron(raw):
    raw["triggers"] = {
        "x": {"type": "scheduler", "cron": "* * 32 * *", "task": _first_task(raw)[0]}
    }
    return "triggers.x.cron"


def _no_flow(raw):
    raw["tasks"]["no-flow"] = {}
    return "tasks.no-flow"


def _bad_type(raw):
    raw["actions"]["bad"] = {"type": "nonsense", "script": "x"}
    return "actions.bad.type"


def _unknown_hook(raw):
    raw["on_cancel"] = [{"action": "no-such-action"}]
    return "on_cancel[0].action"


FAULTS = [
    _unknown_dependency,
    _cycle,
    _long_timeout,
    _bad_when,
    _unknown_task,
    _bad_cron,
    _no_flow,
    _bad_type,
    _unknown_hook,
]


@st.composite
def faulty_workspaces(draw):
    """Return a workspace that would be valid, were it not for one fault."""
    raw = json.loads(json.dumps(draw(workspaces())))
    plant = draw(st.sampled_from(FAULTS))
    return Fault(plant(raw), raw)
