"""Render what a step is to run: its input, then its action, each in its own context.

Rendering happens at the claim, so secrets are resolved then and stored nowhere.
Source: workflow language, section 2.1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.job import JobState
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.template import context_name, has_template, names_used
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Action, Definition, FlowStep, InputField
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.payloads import load_blob, load_object, load_payload


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """What a worker gets to run: every string is final."""

    script: str | None
    args: tuple[str, ...]
    env: dict[str, str]
    input: JsonObject


@dataclass(frozen=True, slots=True)
class JobContext:
    """What templates of a job's steps read beside outputs. It holds secrets: never store it."""

    input: JsonObject
    secret: JsonObject


def render_step(engine: Engine, plan: Plan, state: JobState, step: FlowStep) -> RenderedStep:
    """Return the step's input and its action's templates, rendered.

    Raises:
        TemplateError: a template reads something that is not there, or breaks a limit.
    """
    action = plan.definition.action_of(step)
    job = job_context(engine, plan, state)
    context: JsonObject = {"input": job.input, "secret": job.secret}
    context.update(_outputs(engine, state, _names_in(step)))
    rendered = {
        name: engine.renderer.render_input(value, context) for name, value in step.input.items()
    }
    step_input = _action_input(engine, plan, action, rendered, job)
    return _render_action(engine, action, {"input": step_input, "secret": job.secret})


def shown_input(engine: Engine, plan: Plan, state: JobState, step: FlowStep) -> JsonObject:
    """Return the input that a step was given, for people: connections stay names.

    Workspace secrets are in place where the input reads them: redact before it leaves. Where a
    template does not render (any more), the templates are returned as they stand.
    """
    context: JsonObject = {
        "input": load_object(engine.blobs, state.job.input),
        "secret": _secrets(engine, plan.definition),
    }
    context.update(_outputs(engine, state, _names_in(step)))
    try:
        return {
            name: engine.renderer.render_input(value, context)
            for name, value in step.input.items()
        }
    except TemplateError:
        return step.input


def steps_read(plan: Plan, step: FlowStep) -> tuple[str, ...]:
    """Return the steps of the flow whose outputs the step's input reads."""
    names = _names_in(step)
    return tuple(key for key in plan.flow.order if context_name(key) in names)


def job_context(engine: Engine, plan: Plan, state: JobState) -> JobContext:
    """Return the workspace's secrets and the job's whole input, all of it rendered."""
    secret = _secrets(engine, plan.definition)
    values = load_object(engine.blobs, state.job.input)
    if state.job.secret_input is not None:
        values = {**values, **json.loads(load_blob(engine.blobs, state.job.secret_input))}
    values = _with_defaults(engine, plan.task.input, values, secret)
    values = _with_connections(engine, plan.definition, plan.task.input, values, secret)
    return JobContext(values, secret)


def _secrets(engine: Engine, definition: Definition) -> JsonObject:
    return cast("JsonObject", engine.renderer.render_value(definition.secrets, {}))


def _names_in(step: FlowStep) -> frozenset[str]:
    texts = [value for value in step.input.values() if isinstance(value, str)]
    return frozenset().union(*(names_used(text) for text in texts if has_template(text)))


def _outputs(engine: Engine, state: JobState, names: frozenset[str]) -> JsonObject:
    """Return `{"output": …}` by name, of the completed steps among `names`."""
    return {
        name: {"output": load_payload(engine.blobs, record.output)}
        for record in state.steps.values()
        for name in [context_name(record.step)]
        if name in names and record.status is StepStatus.COMPLETED
    }


def _action_input(
    engine: Engine, plan: Plan, action: Action, rendered: JsonObject, job: JobContext
) -> JsonObject:
    """Complete a step's input by its action's defaults; what is still missing is the job's."""
    values = _with_defaults(engine, action.input, rendered, job.secret)
    values = _with_connections(engine, plan.definition, action.input, values, job.secret)
    return {**job.input, **values}


def _with_defaults(
    engine: Engine, fields: dict[str, InputField], values: JsonObject, secret: JsonObject
) -> JsonObject:
    missing = {
        name: engine.renderer.render_value(field.default, {"secret": secret})
        for name, field in fields.items()
        if field.has_default and name not in values
    }
    return {**missing, **values}


def _with_connections(
    engine: Engine,
    definition: Definition,
    fields: dict[str, InputField],
    values: JsonObject,
    secret: JsonObject,
) -> JsonObject:
    """Replace a connection's name by its values, where the type is a connection type."""
    found: JsonObject = {}
    for name, field in fields.items():
        value = values.get(name)
        if field.type in definition.connection_types and isinstance(value, str):
            found[name] = connection_values(engine, definition, value, secret)
    return {**values, **found}


def connection_values(
    engine: Engine, definition: Definition, name: str, secret: JsonObject
) -> JsonObject:
    """Return a connection's values, defaults of its type filled in, templates rendered."""
    connection = definition.connections[name]
    defaults = {
        key: field.default
        for key, field in definition.connection_types.get(connection.type or "", {}).items()
        if field.has_default
    }
    values: JsonObject = {**defaults, **connection.values}
    return cast("JsonObject", engine.renderer.render_value(values, {"secret": secret}))


def _render_action(engine: Engine, action: Action, context: JsonObject) -> RenderedStep:
    renderer = engine.renderer
    return RenderedStep(
        script=None if action.script is None else renderer.render(action.script, context),
        args=tuple(renderer.render(arg, context) for arg in action.args),
        env={name: renderer.render(value, context) for name, value in action.env.items()},
        input=cast("JsonObject", context["input"]),
    )
