"""The stored form of a definition: exact, versioned, and quick to load."""

import json
import time
from dataclasses import fields

import pytest

from chalicelib.domain import workflow
from chalicelib.domain.dump import SCHEMA, dump, load_definition
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.workflow import (
    Action,
    ActionType,
    AgentSpec,
    Backoff,
    Definition,
    FlowStep,
    Hook,
    Hooks,
    InputField,
    Language,
    Resources,
    Retry,
    RunnerKind,
    Task,
)

FULL = Definition(
    actions={
        "a": Action(
            key="a",
            type=ActionType.AGENT,
            language=Language.GO,
            runner=RunnerKind.POD,
            command=(),
            entrypoint=("sh", "-c"),
            dependencies=("x",),
            resources=Resources(cpu="1"),
            manifest={"spec": {"a": [1, None, {"b": 1.0}]}},
            agent=AgentSpec(provider="p", prompt="q", tools=({"task": "t"},), temperature=0.0),
            input={"i": InputField(has_default=True, default=None, options=("a",))},
            retry=Retry(backoff=Backoff.EXPONENTIAL),
        )
    },
    tasks={
        "t": Task(
            key="t",
            flow={"s": FlowStep(key="s", action="a", depends_on=("s0",), for_each=[])},
            hooks=Hooks(on_error=(), on_success=(Hook(action="a"),)),
        )
    },
    secrets={"a": {"b": [True, 1, 1.0, "1"]}},
)


def stored(definition):
    return json.loads(json.dumps(dump(definition)))


def test_a_definition_comes_back_equal_and_of_the_same_types():
    loaded = load_definition(stored(FULL))
    assert loaded == FULL
    assert repr(loaded) == repr(FULL)


def test_an_empty_hook_list_is_told_from_none():
    hooks = load_definition(stored(FULL)).tasks["t"].hooks
    assert hooks.on_error == ()
    assert hooks.on_cancel is None


def test_defaults_are_left_out():
    assert dump(Definition()) == {"schema": SCHEMA, "definition": {}}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": 2, "definition": {}},
        {"schema": SCHEMA},
        {"schema": SCHEMA, "definition": []},
        {"schema": SCHEMA, "definition": {"nonsense": 1}},
        {"schema": SCHEMA, "definition": {"tasks": {"t": {"key": "t"}}}},
        {"schema": SCHEMA, "definition": {"actions": {"a": {"key": "a", "type": "x"}}}},
        {"schema": SCHEMA, "definition": {"tasks": 1}},
    ],
)
def test_a_document_of_another_kind_is_refused(document):
    with pytest.raises(InvalidError, match="stored definition"):
        load_definition(document)


def test_a_task_of_a_hundred_steps_loads_within_ten_milliseconds():
    steps = {
        f"s{n}": FlowStep(key=f"s{n}", action=f"a{n}", depends_on=("s0",)) for n in range(100)
    }
    actions = {
        f"a{n}": Action(key=f"a{n}", type=ActionType.SCRIPT, script="x") for n in range(100)
    }
    document = stored(Definition(actions=actions, tasks={"t": Task(key="t", flow=steps)}))
    took_s = []
    for _ in range(5):
        before = time.perf_counter()
        load_definition(document)
        took_s.append(time.perf_counter() - before)
    assert min(took_s) < 0.010


def test_every_model_that_a_definition_holds_is_known_to_dump():
    from chalicelib.domain import dump as module  # noqa: PLC0415 - its table is private

    models = {
        item
        for item in vars(workflow).values()
        if isinstance(item, type) and hasattr(item, "__dataclass_fields__")
    }
    assert set(module._NAMES) == models - {workflow.Finding}
    assert all(
        module._NAMES[model] == tuple(f.name for f in fields(model)) for model in module._NAMES
    )
