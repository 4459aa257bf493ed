"""What the budget runs: jobs from their creation to their end, and how their steps go.

A scenario says what happens; `cost_bench` makes it happen and counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.cost_facts import Mode
from chalicelib.domain.prices import NOTHING, Meter, Use


def _chain(length, *, reading=False):
    steps = {}
    for number in range(length):
        step = {"action": "act"}
        if number:
            step["depends_on"] = [f"s{number - 1}"]
            if reading:
                step["input"] = {"n": f"{{{{ s{number - 1}.output.n }}}}"}
        steps[f"s{number}"] = step
    return steps


def _fan_out(width):
    around = {f"s{number}": {"action": "act", "depends_on": ["first"]} for number in range(width)}
    return {
        "first": {"action": "act"},
        **around,
        "join": {"action": "act", "depends_on": [*around]},
    }


ONE = {"only": {"action": "act"}}
FLOWS = {
    "one": ONE,
    "chain": _chain(10),
    "reading": _chain(10, reading=True),
    "fan": _fan_out(10),
    "again": {"only": {"action": "act", "retry": {"max_attempts": 2, "delay": "30s"}}},
    "two": _chain(2),
    "when": {"only": {"action": "act", "when": "yes"}},
    "skip": {"only": {"action": "act", "when": "false"}},
    "loop": {"all": {"action": "act", "for_each": [*range(20)]}},
    "behind": {
        "first": {"action": "act"},
        "all": {"action": "act", "for_each": [*range(3)], "depends_on": ["first"]},
        "last": {"action": "act", "depends_on": ["all"]},
    },
    "sequence": {"all": {"action": "act", "for_each": [*range(5)], "sequential": True}},
    "hundred": {"all": {"action": "act", "for_each": [*range(100)], "max_parallel": 10}},
    "outer": {"inner": {"action": "sub"}},
    "outer_again": {"inner": {"action": "sub", "retry": {"max_attempts": 2, "delay": "30s"}}},
    "asked": {"gate": {"action": "ask"}},
}
ACTIONS = {
    "act": {"type": "script", "script": "true"},
    "sub": {"type": "task", "task": "one"},
    "ask": {"type": "approval", "message": "Ship it?"},
}
TASKS = {
    **{name: {"flow": flow} for name, flow in FLOWS.items()},
    "hooked": {"flow": ONE, "on_success": [{"action": "act"}]},
    "tried": {"flow": ONE, "retry": {"max_attempts": 2, "delay": "30s"}},
    "limited": {"flow": ONE, "concurrency": 1},
}
WORKSPACE = {"actions": ACTIONS, "tasks": TASKS}


@dataclass(frozen=True)
class Scenario:
    """A task and how its attempts go; those whose number is in `failing` fail.

    `seconds` is how long each runs. `during` happens while one runs, `idle` when no worker has
    anything to do, `after` when all jobs have ended: only what comes of that is counted then.
    `untold` is what no record tells, so that no model can.
    """

    task: str
    mode: Mode = Mode.DIRECT
    failing: tuple = ()
    cancelled: bool = False
    output: object = None
    lines: int = 0
    seconds: int = 0
    jobs: int = 1
    during: Callable | None = None
    idle: Callable | None = None
    after: Callable | None = None
    untold: Use = NOTHING


# A step of another job that an end led to, taken with it: its message was never sent.
_TAKEN = Use({Meter.QUEUE: -3})
_STOOD_IN_LINE = Use({Meter.WRITES: 2, Meter.READS: 5})
# Two requests; the claim of what was ready then and its way back; the same step sent again.
_PAUSED = Use(
    {
        Meter.WRITES: 6,
        Meter.READS: 6,
        Meter.QUEUE: 3,
        Meter.INVOCATIONS: 2,
        Meter.REQUESTS: 2,
    }
)

SCENARIOS = {
    "one step": Scenario("one"),
    "one step that fails": Scenario("one", failing=(1,)),
    "one step with a large output": Scenario("one", output={"text": "x" * 5000}),
    "one step of five minutes": Scenario("one", seconds=300),
    "one retry": Scenario("again", failing=(1,)),
    "a chain of 10": Scenario("chain", output={"n": 1}),
    "a chain of 10 that reads outputs": Scenario("reading", output={"n": 1}),
    "10 steps with logs": Scenario("chain", lines=20),
    "a fan-out of 10 with a join": Scenario("fan"),
    "a cancelled job": Scenario("two", cancelled=True, during=lambda bench: bench.cancel()),
    "one step with a condition": Scenario("when"),
    "one step that is skipped": Scenario("skip"),
    "a loop of 20": Scenario("loop"),
    "a loop between two steps": Scenario("behind"),
    "a loop of 5 in sequence": Scenario("sequence"),
    "a loop of 100, 10 at a time": Scenario("hundred"),
    "one step behind the API": Scenario("one", mode=Mode.HTTP),
    "one step of five minutes behind the API": Scenario("one", seconds=300, mode=Mode.HTTP),
    "a chain of 10 behind the API": Scenario("chain", mode=Mode.HTTP, output={"n": 1}),
    "a sub-job of one step": Scenario("outer"),
    "a sub-job that is tried again": Scenario(
        "outer_again", failing=(1,), idle=lambda bench: bench.sweep_later()
    ),
    "an approval that is answered": Scenario("asked", idle=lambda bench: bench.answer("gate")),
    "one step with a hook": Scenario("hooked", untold=_TAKEN),
    "one retry of the task": Scenario("tried", failing=(1,)),
    "one step under a limit": Scenario("limited"),
    "two jobs, one at a time": Scenario("limited", jobs=2, untold=_TAKEN + _STOOD_IN_LINE),
    "a re-run from what failed": Scenario(
        "two", failing=(2,), after=lambda bench: bench.run_again()
    ),
    "a pause in a chain of two": Scenario(
        "two",
        during=lambda bench: bench.pause(),
        idle=lambda bench: bench.resume(),
        untold=_PAUSED,
    ),
}
