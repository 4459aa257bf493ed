"""A definition as JSON and back, exactly.

What is stored of a revision, so that YAML is read once only.

Fields that hold their default are left out. `SCHEMA` counts up when an old document would be
misread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, cast

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.signatures import HmacRule, Scheme
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import (
    Action,
    ActionType,
    AgentSpec,
    Backoff,
    Concurrency,
    Connection,
    ConnectionField,
    Definition,
    FlowStep,
    Hook,
    Hooks,
    InputField,
    Language,
    McpServer,
    Notify,
    OnLimit,
    OutputField,
    Priority,
    Resources,
    Retry,
    RunnerKind,
    Task,
    Trigger,
    TriggerType,
)

SCHEMA = 1
Model = TypeVar("Model")
Decoder = Callable[[Any], Any]


def dump(definition: Definition) -> JsonObject:
    """Return the definition as JSON values; `load_definition` gives it back equal."""
    return {"schema": SCHEMA, "definition": _encoded(definition)}


def load_definition(document: JsonObject) -> Definition:
    """Return the definition that was dumped.

    Raises:
        InvalidError: written by another schema, or not written by `dump` at all.
    """
    if document.get("schema") != SCHEMA:
        found = document.get("schema")
        raise InvalidError(
            f"the stored definition has schema {found!r}, this engine reads {SCHEMA}:"
            " publish the workspace again"
        )
    try:
        return _DEFINITION(cast("Mapping[str, Any]", document["definition"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidError(f"the stored definition is damaged: {error!r}") from error


def _encoded(value: object) -> JsonValue:
    if is_dataclass(value) and not isinstance(value, type):
        plain = _DEFAULTS[type(value)]
        return {
            name: _encoded(item)
            for name in _NAMES[type(value)]
            for item in (getattr(value, name),)
            if name not in plain or item != plain[name]
        }
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    return cast("JsonValue", value)


def _defaults_of(model: type[Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for item in fields(model):
        if item.default_factory is not MISSING:
            found[item.name] = item.default_factory()
        elif item.default is not MISSING:
            found[item.name] = item.default
    return found


def _of(model: Callable[..., Model], **decoders: Decoder) -> Callable[[Mapping[str, Any]], Model]:
    def decode(raw: Mapping[str, Any]) -> Model:
        values = {**raw}
        for name, decoder in decoders.items():
            if values.get(name) is not None:
                values[name] = decoder(values[name])
        return model(**values)

    return decode


def _map_of(decoder: Decoder) -> Decoder:
    return lambda raw: {key: decoder(item) for key, item in raw.items()}


def _many(decoder: Decoder) -> Decoder:
    return lambda raw: tuple(decoder(item) for item in raw)


_RETRY = _of(Retry, backoff=Backoff)
_INPUTS = _map_of(_of(InputField, options=tuple))
_HOOK_LIST = _many(_of(Hook))
_HOOKS = _of(
    Hooks,
    on_success=_HOOK_LIST,
    on_error=_HOOK_LIST,
    on_suspended=_HOOK_LIST,
    on_cancel=_HOOK_LIST,
)
_ACTION = _of(
    Action,
    type=ActionType,
    language=Language,
    runner=RunnerKind,
    dependencies=tuple,
    args=tuple,
    command=tuple,
    entrypoint=tuple,
    tags=tuple,
    resources=_of(Resources),
    agent=_of(AgentSpec, tools=tuple),
    input=_INPUTS,
    output=_map_of(_of(OutputField, options=tuple)),
    retry=_RETRY,
)
_NOTIFY = _many(_of(Notify, on=tuple, secrets=tuple))
_TRIGGER = _of(
    Trigger,
    type=TriggerType,
    secrets=tuple,
    events=tuple,
    hmac=_of(HmacRule, scheme=Scheme, secrets=tuple),
)
_STEP = _of(FlowStep, depends_on=tuple, retry=_RETRY)
_TASK = _of(
    Task,
    flow=_map_of(_STEP),
    input=_INPUTS,
    retry=_RETRY,
    hooks=_HOOKS,
    concurrency=_of(Concurrency, on_limit=OnLimit),
    priority=Priority,
    notify=_NOTIFY,
)
_DEFINITION = _of(
    Definition,
    actions=_map_of(_ACTION),
    tasks=_map_of(_TASK),
    triggers=_map_of(_TRIGGER),
    connection_types=_map_of(_map_of(_of(ConnectionField))),
    connections=_map_of(_of(Connection)),
    mcp_servers=_map_of(_of(McpServer, args=tuple)),
    hooks=_HOOKS,
    notify=_NOTIFY,
)
_MODELS: tuple[type[Any], ...] = (
    Action,
    AgentSpec,
    Concurrency,
    Connection,
    ConnectionField,
    Definition,
    FlowStep,
    HmacRule,
    Hook,
    Hooks,
    InputField,
    McpServer,
    Notify,
    OutputField,
    Resources,
    Retry,
    Task,
    Trigger,
)
_NAMES = {model: tuple(item.name for item in fields(model)) for model in _MODELS}
_DEFAULTS = {model: _defaults_of(model) for model in _MODELS}
