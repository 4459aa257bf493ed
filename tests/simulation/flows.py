"""Flows for the simulator: graphs of 1 to 12 steps with every policy that the engine executes."""

from __future__ import annotations

from chalicelib.domain.workflow import (
    Action,
    ActionType,
    Backoff,
    Definition,
    FlowStep,
    Retry,
    Task,
)

BROKEN_SCRIPT = "{{ broken }}"
_ACTIONS = {
    "act": Action(key="act", type=ActionType.SCRIPT, script="true"),
    "broken": Action(key="broken", type=ActionType.SCRIPT, script=BROKEN_SCRIPT),
}
_RETRIES = (
    Retry(max_attempts=2, delay_s=1),
    Retry(max_attempts=3, delay_s=5, backoff=Backoff.EXPONENTIAL),
    Retry(max_attempts=2, delay_s=20, jitter=True),
)


def a_definition(rng, tasks):
    return Definition(actions=_ACTIONS, tasks={f"t{i}": _task(rng, f"t{i}") for i in range(tasks)})


def _task(rng, key):
    random = rng.random
    count = 1 + int(random() ** 1.6 * 12)
    density = 0.15 + 0.6 * random()
    flow = {}
    for index in range(count):
        # A few near dependencies: chains, forks and joins, seldom a complete graph.
        near = range(max(0, index - 4), index)
        needs = tuple(f"s{i}" for i in near if random() < density / 1.5)
        flow[f"s{index}"] = FlowStep(
            key=f"s{index}",
            action="broken" if random() < 0.03 else "act",
            depends_on=needs,
            continue_on_failure=random() < 0.2,
            retry=_RETRIES[int(random() * 3)] if random() < 0.5 else None,
            timeout_s=120 if random() < 0.2 else None,
        )
    return Task(key=key, flow=flow)
