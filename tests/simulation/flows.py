"""Workflows for the simulator: a few short tasks with whatever the language has.

The same seed draws the same workspace, whatever is taken away from it later (`cases`).
"""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.workflow import (
    Action,
    ActionType,
    Backoff,
    Concurrency,
    Definition,
    FlowStep,
    Hook,
    Hooks,
    InputField,
    OnLimit,
    Priority,
    Retry,
    Task,
)

BROKEN = "{{ broken }}"
EVENTS = ("on_success", "on_error", "on_cancel", "on_suspended")
# How often a workspace has a feature at all, where it is no plain one.
CHANCES = {
    "when": 0.35,
    "loops": 0.3,
    "children": 0.3,
    "approvals": 0.3,
    "hooks": 0.25,
    "task retries": 0.2,
    "limits": 0.25,
    "pools": 0.15,
    "deadlines": 0.2,
    "priorities": 0.2,
    "reading": 0.3,
    "pausing": 0.2,
    "reruns": 0.2,
}
PLAIN = 0.25

_RETRIES = (
    Retry(max_attempts=2, delay_s=1),
    Retry(max_attempts=3, delay_s=5, backoff=Backoff.EXPONENTIAL),
    Retry(max_attempts=2, delay_s=20, jitter=True),
)
_ACTIONS = (
    Action(key="act", type=ActionType.SCRIPT, script="true"),
    Action(key="stubborn", type=ActionType.SCRIPT, script="true", retry=_RETRIES[0]),
    Action(key="broken", type=ActionType.SCRIPT, script=BROKEN),
    Action(
        key="tell",
        type=ActionType.SCRIPT,
        script="true",
        input={"text": InputField(required=True)},
    ),
    Action(key="ask", type=ActionType.APPROVAL, message="Go on?"),
    Action(key="far", type=ActionType.SCRIPT, script="true", tags=("far",)),
    Action(key="nowhere", type=ActionType.SCRIPT, script="true", tags=("nowhere",)),
)


def draw_features(random):
    """Return which features the workspace of a seed has."""
    is_plain = random() < PLAIN
    drawn = [name for name, chance in CHANCES.items() if random() < chance]
    return frozenset() if is_plain else frozenset(drawn)


def a_definition(random, features):
    """Return a workspace of one or two tasks, and those that they run as sub-jobs."""
    lower = ["c0", "c1"] if "children" in features else []
    tops = ["t0", "t1"][: 1 + int(random() * 2)]
    drawing = _Drawing(random, features)
    tasks = {}
    for key in (*tops, *lower):
        below = lower if key in tops else lower[lower.index(key) + 1 :]
        tasks[key] = drawing.task(key, below)
    runs = (Action(key=f"run {key}", type=ActionType.TASK, task=key) for key in lower)
    actions = {action.key: action for action in (*_ACTIONS, *runs)}
    hooks = drawing.hooks(lower) if "hooks" in features and random() < 0.5 else Hooks()
    return Definition(actions=actions, tasks=tasks, hooks=hooks)


class _Drawing:
    """Draws tasks with the features of a seed."""

    def __init__(self, random, features):
        self._random = random
        self._has = features.__contains__

    def task(self, key, below):
        random, has = self._random, self._has
        is_top = key.startswith("t")
        flow = self._flow(below, 8 if is_top else 3)
        return Task(
            key=key,
            flow=flow,
            retry=self._one(_RETRIES) if has("task retries") and random() < 0.7 else None,
            hooks=self.hooks(below) if has("hooks") and random() < 0.6 else Hooks(),
            timeout_s=int(60 + 90 * random()) if has("deadlines") and random() < 0.6 else None,
            priority=self._one(tuple(Priority)) if has("priorities") else Priority.NORMAL,
            concurrency=self._concurrency() if has("limits") and random() < 0.8 else None,
        )

    def _concurrency(self):
        random = self._random
        return Concurrency(
            limit=1 + int(random() * 2),
            key="{{ input.of }}" if random() < 0.4 else None,
            on_limit=self._one(tuple(OnLimit)),
        )

    def hooks(self, below):
        random = self._random
        # The tasks that hooks run stand below, so that none comes back to itself.
        actions = ["act", "tell", "tell", *(f"run {key}" for key in below)]
        found = {}
        for event in EVENTS:
            count = int(random() * 3)
            listed = [Hook(action=self._one(actions)) for _ in range(count)]
            told = {"text": "{{ hook.job_id }}"}
            full = tuple(replace(h, input=told if h.action == "tell" else {}) for h in listed)
            found[event] = full if random() < 0.7 else None
        return Hooks(**found)

    def _flow(self, below, most):
        random = self._random
        count = 1 + int(random() ** 1.8 * most)
        density = 0.15 + 0.6 * random()
        flow = {}
        for index in range(count):
            # A few near dependencies: chains, forks and joins, seldom a complete graph.
            near = range(max(0, index - 4), index)
            needs = tuple(f"s{i}" for i in near if random() < density / 1.5)
            flow[f"s{index}"] = self._step(f"s{index}", needs, flow, below)
        return flow

    def _step(self, key, needs, earlier, below):
        random, has = self._random, self._has
        action = self._action(below)
        is_child = action.startswith("run")
        speakers = [need for need in needs if speaks(earlier[need])]
        read = self._one(speakers) if speakers else None
        step = FlowStep(
            key=key,
            action=action,
            depends_on=needs,
            continue_on_failure=random() < 0.2,
            retry=self._one(_RETRIES) if random() < (0.6 if is_child else 0.4) else None,
            timeout_s=self._timeout(action),
            when=self._when(read) if has("when") and random() < 0.5 else None,
            input=self._input(action, read),
        )
        if action == "nowhere":
            step = replace(step, retry=None)
        return self._looped(step, read) if has("loops") and random() < 0.45 else step

    def _action(self, below):
        random, has = self._random, self._has
        draw = random()
        if below and draw < 0.4:
            return f"run {self._one(below)}"
        if has("approvals") and draw > 0.7:
            return "ask"
        if has("pools") and random() < 0.4:
            return "far" if random() < 0.93 else "nowhere"
        return "broken" if random() < 0.03 else "stubborn" if random() < 0.1 else "act"

    def _timeout(self, action):
        draw = self._random()
        if action.startswith("run"):
            return 10 if draw < 0.35 else None
        return 120 if draw < {"ask": 0.4}.get(action, 0.2) else None

    def _input(self, action, read):
        is_reading = self._has("reading") and read and action in ("act", "stubborn")
        return {"n": f"{{{{ {read}.output.n }}}}"} if is_reading and self._random() < 0.5 else {}

    def _when(self, read):
        draw = self._random()
        if read and draw < 0.7:
            return f"{{{{ {read}.output.n > 40 }}}}"
        return BROKEN if draw < 0.08 else "false" if draw < 0.4 else "true"

    def _looped(self, step, read):
        random = self._random
        kind = random()
        parallel = 1 + int(random() * 4) if random() < 0.4 else None
        sequential = parallel is None and random() < 0.5
        items = self._items(step.action)
        if read and kind < 0.4:
            items = f"{{{{ {read}.output.list }}}}"
        elif read and kind < 0.45:
            items = f"{{{{ {read}.output.n }}}}"
        when = step.when
        if self._has("when") and random() < 0.3:
            when = "{{ each.item > 1 }}" if random() < 0.8 else "{{ each.item.none }}"
        return replace(
            step, for_each=items, sequential=sequential, max_parallel=parallel, when=when
        )

    def _items(self, action):
        """Return a literal list: mostly short, seldom of several groups of instances."""
        random = self._random
        draw = random()
        size = int(random() * 5)
        if draw < 0.02 and action in ("act", "broken", "stubborn"):
            size = 60 + int(140 * random())
        elif draw < 0.1 and not action.startswith("run"):
            size = 6 + int(10 * random())
        return [int(random() * 6) for _ in range(size)]

    def _one(self, choices):
        return choices[int(self._random() * len(choices))]


def speaks(step):
    """Say whether the step's user code gives an output that others may read."""
    return step.action in ("act", "stubborn", "far") and step.for_each is None
