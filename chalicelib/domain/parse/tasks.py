"""Tasks, their flow steps and hooks.

An action written inside a step becomes a hidden one of its own.

Source: workflow language, sections 1.5 to 1.9.
"""

from __future__ import annotations

from chalicelib.domain.parse.actions import build_action
from chalicelib.domain.parse.fields import named, parse_input, parse_inputs, parse_retry
from chalicelib.domain.parse.keys import ACTION, CONCURRENCY, HOOK, HOOK_EVENTS, STEP, TASK
from chalicelib.domain.parse.reader import Reader, kind_of
from chalicelib.domain.parse.webhooks import parse_notify
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import (
    INLINE_PREFIX,
    MAX_CONCURRENT_JOBS,
    MAX_LOOP_ITEMS,
    MAX_STEP_TIMEOUT_S,
    MAX_STEPS,
    MAX_TASK_TIMEOUT_S,
    Action,
    Concurrency,
    FlowStep,
    Hook,
    Hooks,
    InputField,
    OnLimit,
    Priority,
    Task,
)

_OLDER_FLAG = "continue_on_fail"
# Read by the step itself: its display name, its inputs' schema, its retry.
_STEP_OWNS = frozenset({"name", "description", "input", "retry"})


def parse_task(key: str, reader: Reader, folder: str | None) -> tuple[Task, dict[str, Action]]:
    """Return the task and the hidden actions of its steps; `folder` is the file's own."""
    reader.unknown(TASK)
    flow: dict[str, FlowStep] = {}
    hidden: dict[str, Action] = {}
    for name, below in named(reader, "flow"):
        step, action = _parse_step(key, name, below)
        flow[name] = step
        if action is not None:
            hidden[action.key] = action
    _check_flow(reader, flow)
    task = Task(
        key=key,
        flow=flow,
        name=reader.text("name"),
        description=reader.text("description"),
        mode=_mode(reader),
        folder=reader.text("folder") or folder,
        input=parse_inputs(reader),
        timeout_s=reader.duration("timeout", MAX_TASK_TIMEOUT_S),
        retry=parse_retry(reader),
        hooks=parse_hooks(reader),
        concurrency=_concurrency(reader),
        priority=reader.choice("priority", Priority.NORMAL),
        notify=parse_notify(reader),
    )
    return task, hidden


def _concurrency(reader: Reader) -> Concurrency | None:
    """Return the rule under `concurrency`; a number alone is its limit."""
    given = reader.raw.get("concurrency")
    if isinstance(given, int):
        limit = reader.whole("concurrency", 1, MAX_CONCURRENT_JOBS)
        return None if limit is None else Concurrency(limit=limit)
    if given is not None and not isinstance(given, dict):
        reader.wrong("concurrency", "a number or a mapping", "concurrency: { limit: 1 }")
        return None
    below = reader.below("concurrency")
    if below is None:
        return None
    below.unknown(CONCURRENCY)
    limit = below.whole("limit", 1, MAX_CONCURRENT_JOBS)
    return Concurrency(
        limit=1 if limit is None else limit,
        key=below.text("key"),
        on_limit=below.choice("on_limit", OnLimit.QUEUE),
    )


def _check_flow(reader: Reader, flow: dict[str, FlowStep]) -> None:
    if not reader.has("flow"):
        reader.missing("flow", "a task is a flow of steps: flow: { first: { action: name } }")
    elif reader.raw["flow"] == {}:
        reader.report.error(reader.at("flow"), "the flow has no steps")
    if len(flow) > MAX_STEPS:
        reason = f"{len(flow)} steps; {MAX_STEPS} are the most"
        reader.report.error(reader.at("flow"), reason, "use `for_each`, or split the task")


def _mode(reader: Reader) -> str:
    mode = reader.word("mode", ("distributed", "local"))
    if mode == "local":
        reason = "`mode: local` is of an older generation; the task runs distributed"
        reader.report.warning(reader.at("mode"), reason, "leave it out")
    return mode


def parse_hooks(reader: Reader) -> Hooks:
    """Return the hooks of a task or a workspace; an event that is not named stays None."""
    return Hooks(**{event: _parse_event(reader, event) for event in HOOK_EVENTS})


def _parse_event(reader: Reader, event: str) -> tuple[Hook, ...] | None:
    value = reader.raw.get(event)
    if value is None:
        return None
    if not isinstance(value, list):
        reader.wrong(event, "a list of hooks", f"{event}: [{{ action: name }}]")
        return None
    hooks: list[Hook] = []
    for index, item in enumerate(value):
        if isinstance(item, dict):
            below = Reader(item, reader.at(event, index), reader.report)
            below.unknown(HOOK)
            action = below.text("action", required=True) or ""
            hooks.append(Hook(action=action, input=below.object("input")))
        else:
            reason = f"a hook must be a mapping, not {kind_of(item)}"
            reader.report.error(reader.at(event, index), reason, "{ action: name }")
    return tuple(hooks)


def _parse_step(task: str, key: str, reader: Reader) -> tuple[FlowStep, Action | None]:
    is_inline = reader.has("type")
    retry = parse_retry(reader)
    given, hidden = reader.object("input"), None
    if is_inline:
        if reader.has("action"):
            reason = "`action` and `type` are both given; a step names an action or is one"
            reader.report.error(reader.at("type"), reason, "leave one of them out")
        hidden, given = _inline_action(task, key, reader)
    _check_keys(reader, is_inline=is_inline)
    action = hidden.key if hidden else reader.text("action") or ""
    for_each = _for_each(reader)
    step = FlowStep(
        key=key,
        action=action,
        name=reader.text("name"),
        description=reader.text("description"),
        depends_on=_depends_on(reader),
        input=given,
        continue_on_failure=reader.flag("continue_on_failure") or reader.flag(_OLDER_FLAG),
        timeout_s=reader.duration("timeout", MAX_STEP_TIMEOUT_S),
        when=_when(reader),
        for_each=for_each,
        sequential=reader.flag("sequential"),
        max_parallel=reader.whole("max_parallel", 1, MAX_LOOP_ITEMS),
        retry=retry,
    )
    return step, hidden


def _inline_action(task: str, key: str, reader: Reader) -> tuple[Action, JsonObject]:
    """Return the hidden action and the step's inputs.

    What has a `type` is schema, the rest is input.
    """
    fields: dict[str, InputField] = {}
    given: JsonObject = {}
    for name, value in reader.object("input").items():
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            below = Reader(value, reader.at("input", name), reader.report)
            fields[name] = parse_input(below)
        else:
            given[name] = value
    own = {name: value for name, value in reader.raw.items() if name not in _STEP_OWNS}
    inner = Reader(own, reader.path, reader.report)
    return build_action(f"{INLINE_PREFIX}{task}:{key}", inner, fields, None), given


def _check_keys(reader: Reader, *, is_inline: bool) -> None:
    if is_inline:
        reader.unknown((*STEP, *ACTION, _OLDER_FLAG))
    else:
        _check_keys_of_reference(reader)
    if reader.has(_OLDER_FLAG):
        reason = f"`{_OLDER_FLAG}` is the older name"
        reader.report.warning(reader.at(_OLDER_FLAG), reason, "continue_on_failure: true")
    if reader.raw.get("sequential") is True and reader.has("max_parallel"):
        reason = "`sequential` and `max_parallel` are both given; sequential means one at a time"
        reader.report.error(reader.at("max_parallel"), reason, "leave one of them out")
    if not reader.has("for_each"):
        for key in ("sequential", "max_parallel"):
            if reader.has(key):
                reason = f"`{key}` does nothing without `for_each`"
                reader.report.warning(reader.at(key), reason)


def _check_keys_of_reference(reader: Reader) -> None:
    if not reader.has("action"):
        fix = "name one of the workspace's actions, or give `type` and its keys here"
        reader.missing("action", fix)
        reader.unknown((*STEP, *ACTION, _OLDER_FLAG))
        return
    beside = [key for key in reader.raw if key in ACTION and key not in STEP]
    for key in beside:
        reason = f"`{key}` is ignored beside `action`: the action has it"
        reader.report.warning(reader.at(key), reason, "move it to the action")
    reader.unknown((*STEP, *beside, _OLDER_FLAG))


def _depends_on(reader: Reader) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reader.texts("depends_on") or ()))


def _when(reader: Reader) -> str | None:
    if isinstance(reader.raw.get("when"), bool):
        fix = "write a template: when: \"{{ input.env == 'prod' }}\""
        reader.wrong("when", "text", fix)
        return None
    return reader.text("when")


def _for_each(reader: Reader) -> str | list[JsonValue] | None:
    value = reader.raw.get("for_each")
    if value is None or isinstance(value, str):
        if value is not None and not value.strip():
            reader.report.error(reader.at("for_each"), "`for_each` is empty")
        return value
    if not isinstance(value, list):
        fix = 'for_each: [a, b], or "{{ input.hosts | json_encode }}"'
        reader.wrong("for_each", "a list or a template", fix)
        return None
    if len(value) > MAX_LOOP_ITEMS:
        reason = f"{len(value)} items; {MAX_LOOP_ITEMS} are the most"
        reader.report.error(reader.at("for_each"), reason)
    return value
