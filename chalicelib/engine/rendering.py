"""Render what a step is to run: its input, then its action, each in its own context.

Rendering happens at the claim, so secrets are resolved then and stored nowhere.
Source: workflow language, section 2.1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.hooks import is_hook_task
from chalicelib.domain.job import SECRET_MASK, JobState
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.template import context_name, has_template, names_used
from chalicelib.domain.values import JsonObject, JsonValue
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
class Round:
    """What the templates of one instance of a loop read as `each`."""

    item: JsonValue
    index: int
    total: int

    def to_context(self) -> JsonObject:
        """Return the value of `each`."""
        return {"item": self.item, "index": self.index, "total": self.total}


@dataclass(frozen=True, slots=True)
class JobContext:
    """What templates of a job's steps read beside outputs. It holds secrets: never store it."""

    input: JsonObject
    secret: JsonObject


def render_step(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> RenderedStep:
    """Return the step's input and its action's templates, rendered.

    Raises:
        TemplateError: a template reads something that is not there, or breaks a limit.
    """
    action = plan.definition.action_of(step)
    job = job_context(engine, plan, state)
    rendered = _step_input(engine, state, step, job, each)
    step_input = _action_input(engine, plan, action, rendered, job)
    return _render_action(engine, action, {"input": step_input, "secret": job.secret})


def render_input(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> JsonObject:
    """Return what the step gives to its sub-job: its input, rendered, secrets in place.

    Raises:
        TemplateError: as `render_step`.
    """
    return _step_input(engine, state, step, job_context(engine, plan, state), each)


def render_message(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> str:
    """Return what an approval asks, in the context of its action; secrets may be in it.

    Raises:
        TemplateError: as `render_step`.
    """
    action = plan.definition.action_of(step)
    job = job_context(engine, plan, state)
    rendered = _step_input(engine, state, step, job, each)
    step_input = _action_input(engine, plan, action, rendered, job)
    return engine.renderer.render(
        action.message or "", {"input": step_input, "secret": job.secret}
    )


def evaluate_when(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> str:
    """Return what the step's `when` renders to. Source: workflow language, section 1.6.

    Raises:
        TemplateError: as `render_step`.
    """
    text = step.when or ""
    job = job_context(engine, plan, state)
    return engine.renderer.render(text, _context(engine, state, job, names_used(text), each))


def evaluate_items(engine: Engine, plan: Plan, state: JobState, step: FlowStep) -> JsonValue:
    """Return what the step's `for_each` gives; a list, if it is right.

    Raises:
        TemplateError: as `render_step`; or its text is not JSON.
    """
    job = job_context(engine, plan, state)
    wanted = step.for_each
    if not isinstance(wanted, str):
        context = _context(
            engine, state, job, frozenset().union(*map(names_used, texts_in(wanted)))
        )
        return engine.renderer.render_value(wanted, context)
    context = _context(engine, state, job, names_used(wanted))
    given = engine.renderer.render_input(wanted, context)
    if not isinstance(given, str):
        return given
    try:
        items: JsonValue = json.loads(given)
    except ValueError:
        raise TemplateError(
            "its text is no JSON list; a list is spelled by `| json_encode()`"
        ) from None
    return items


def _step_input(
    engine: Engine, state: JobState, step: FlowStep, job: JobContext, each: Round | None
) -> JsonObject:
    context = _context(engine, state, job, _names_in(step), each)
    return {
        name: engine.renderer.render_input(value, context) for name, value in step.input.items()
    }


def _context(
    engine: Engine,
    state: JobState,
    job: JobContext,
    names: frozenset[str],
    each: Round | None = None,
) -> JsonObject:
    context: JsonObject = {"input": job.input, "secret": job.secret}
    if each is not None:
        context["each"] = each.to_context()
    context.update(_outputs(engine, state, names))
    return context


def texts_in(value: JsonValue) -> list[str]:
    """Return the templates among the texts of a value, at any depth."""
    match value:
        case str():
            return [value] if has_template(value) else []
        case list():
            return [text for item in value for text in texts_in(item)]
        case dict():
            return [text for item in value.values() for text in texts_in(item)]
        case _:
            return []


def shown_input(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> JsonObject:
    """Return the input that a step was given, for people: connections stay names.

    Workspace secrets are in place where the input reads them: redact before it leaves. Where a
    template does not render (any more), the templates are returned as they stand.
    """
    values = load_object(engine.blobs, state.job.input)
    job = JobContext(values, workspace_secrets(engine, plan.definition))
    context = _context(engine, state, job, _names_in(step), each)
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
    secret = workspace_secrets(engine, plan.definition)
    values = load_object(engine.blobs, state.job.input)
    if state.job.secret_input is not None:
        values = {**values, **json.loads(load_blob(engine.blobs, state.job.secret_input))}
    values = with_defaults(engine, plan.task.input, values, secret)
    values = _with_connections(engine, plan.definition, plan.task.input, values, secret)
    return JobContext(values, secret)


def workspace_secrets(engine: Engine, definition: Definition) -> JsonObject:
    """Return the workspace's secrets, rendered: never store them."""
    return cast("JsonObject", engine.renderer.render_value(definition.secrets, {}))


def _names_in(step: FlowStep) -> frozenset[str]:
    texts = [value for value in step.input.values() if isinstance(value, str)]
    return frozenset().union(*(names_used(text) for text in texts if has_template(text)))


def _outputs(engine: Engine, state: JobState, names: frozenset[str]) -> JsonObject:
    """Return `{"output": …}` or `{"error": …}` by name, of the ended steps among `names`."""
    found: JsonObject = {}
    for record in state.steps.values():
        name = context_name(record.step)
        if name not in names:
            continue
        if record.status is StepStatus.COMPLETED:
            found[name] = {"output": load_payload(engine.blobs, record.output)}
        elif record.status.is_terminal and record.error is not None:
            found[name] = {"error": record.error}
    return found


def _action_input(
    engine: Engine, plan: Plan, action: Action, rendered: JsonObject, job: JobContext
) -> JsonObject:
    """Complete a step's input by its action's defaults; what is still missing is the job's."""
    if is_hook_task(plan.task):
        # What the hook gave is the job's input; it comes before the action's defaults.
        rendered = job.input
    values = with_defaults(engine, action.input, rendered, job.secret)
    values = _with_connections(engine, plan.definition, action.input, values, job.secret)
    return {**job.input, **values}


def with_defaults(
    engine: Engine, fields: dict[str, InputField], values: JsonObject, secret: JsonObject
) -> JsonObject:
    """Fill in the defaults of what is missing, those that are templates too."""
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
        if field.type not in definition.connection_types or not isinstance(value, str):
            continue
        # A secret name is masked where only what may be shown is rendered.
        if value != SECRET_MASK:
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
