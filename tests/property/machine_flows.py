"""Small workspaces for the engine's state machine, as the dictionaries that their YAML says."""

from hypothesis import strategies as st

from tests.property.reference_templates import BROKEN, OVER_ONE, field_of

ON_SUSPENDED = [{"action": "notify", "input": {"step": "{{ hook.step_name }}"}}]
ACTIONS = {
    "act": {"type": "script", "script": "true"},
    "gate": {"type": "approval", "message": "ok?"},
    "notify": {"type": "script", "script": "true", "input": {"step": {"type": "string"}}},
}
TASKS = ("outer", "inner", "last")
RETRIES = st.fixed_dictionaries(
    {
        "max_attempts": st.integers(2, 3),
        "delay": st.sampled_from([10, 45]),
        "backoff": st.sampled_from(["fixed", "exponential"]),
    }
)


@st.composite
def workspaces(draw):
    """Return three tasks; each may have sub-jobs of those behind it, and hooks of the last."""
    actions = ACTIONS | {f"call_{task}": {"type": "task", "task": task} for task in TASKS[1:]}
    tasks = {}
    for number, task in enumerate(TASKS):
        kinds = ["act"] * 4 + ["gate"] + [f"call_{inner}" for inner in TASKS[number + 1 :]] * 2
        tasks[task] = {"flow": draw(_flows(kinds, 4 - number))}
        if _is_drawn(draw, 4):
            tasks[task]["timeout"] = draw(st.sampled_from([200, 700]))
        if _is_drawn(draw, 4):
            tasks[task]["retry"] = draw(RETRIES)
        tasks[task] |= draw(_hooks(["notify", "call_last"] if number < 2 else ["notify"], 6))
    return {"actions": actions, "tasks": tasks} | draw(_hooks(["notify", "call_last"], 4))


@st.composite
def _flows(draw, kinds, most):
    flow = {}
    for index in range(draw(st.integers(1, most))):
        before = list(flow)
        needs = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        rule = {"action": draw(st.sampled_from(kinds)), "depends_on": needs}
        if _is_drawn(draw, 4):
            rule["continue_on_failure"] = True
        if _is_drawn(draw, 3):
            rule["for_each"] = draw(st.sampled_from(_loops(needs)))
            limits = [{}, {}, {"sequential": True}, {"max_parallel": 2}]
            rule |= draw(st.sampled_from(limits))
        if _is_drawn(draw, 4):
            rule["when"] = draw(st.sampled_from(_conditions(needs, "for_each" in rule)))
        if _is_drawn(draw, 2 if rule["action"].startswith("call") else 3):
            rule["retry"] = draw(RETRIES)
        if _is_drawn(draw, 5):
            rule["timeout"] = draw(st.sampled_from([60, 300]))
        if rule["action"] == "act" and _is_drawn(draw, 12):
            rule["input"] = {"x": BROKEN}
        flow[f"s{index}"] = rule
    return flow


def _conditions(needs, is_loop):
    read = [field_of(need, "go") for need in needs]
    said = ["true", "true", "false", BROKEN, *read, *read]
    return [*said, OVER_ONE, OVER_ONE, OVER_ONE] if is_loop else said


def _loops(needs):
    read = [field_of(need, "items") for need in needs]
    return [[1, 2, 3], [1, 2, 3], [3, 2, 1, 0], [2, 1], [2, 1], [2], [], BROKEN, *read, *read]


@st.composite
def _hooks(draw, actions, rarity):
    hooks = {}
    for event in ("on_success", "on_error", "on_cancel"):
        if _is_drawn(draw, rarity):
            hooks[event] = [{"action": draw(st.sampled_from(actions))}]
    if _is_drawn(draw, rarity):
        hooks["on_suspended"] = ON_SUSPENDED
    return hooks


def _is_drawn(draw, rarity):
    # Zero, which is what a failure shrinks to, leaves the thing out.
    return draw(st.integers(0, rarity - 1)) == rarity - 1
