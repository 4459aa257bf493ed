"""Render what a step is to run: its input, then its action, each in its own context.

Rendering happens at the claim, so secrets are resolved then and stored nowhere.
Source: workflow language, section 2.1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import cast

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.event_sources import source_of
from chalicelib.domain.hooks import is_hook_task
from chalicelib.domain.job import SECRET_MASK, JobState
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.masks import REDACTED
from chalicelib.domain.redactor import leaves
from chalicelib.domain.template import context_name, has_template, names_used
from chalicelib.domain.typed import typed_as
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Action, Definition, FlowStep, InputField
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.opening import Opened, Use, reads_secrets, texts_in
from chalicelib.engine.payloads import load_blob, load_object, load_payload
from chalicelib.engine.redaction import secrets_of


@dataclass(frozen=True, slots=True, repr=False)
class RenderedStep:
    """What a worker gets to run: every string is final, but for the marks in `references`.

    Those stand for what only the worker knows, in `env` and `args`. `secrets` are the texts that
    must not be seen in what the step prints.
    """

    script: str | None
    args: tuple[str, ...]
    env: dict[str, str]
    input: JsonObject
    secrets: tuple[str, ...] = ()
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Round:
    """What the templates of one instance of a loop read as `each`."""

    item: JsonValue
    index: int
    total: int

    def to_context(self) -> JsonObject:
        """Return the value of `each`."""
        return {"item": self.item, "index": self.index, "total": self.total}


@dataclass(frozen=True, slots=True, repr=False)
class JobContext:
    """What templates of a job's steps read beside outputs. It holds secrets: never store it."""

    input: JsonObject
    opened: Opened


def render_step(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> RenderedStep:
    """Return the step's input and its action's templates, rendered.

    Raises:
        TemplateError: a template reads something that is not there, or breaks a limit.
    """
    action = plan.definition.action_of(step)
    job = job_context(engine, plan, state, Use.CLAIM)
    rendered = _step_input(engine, state, step, job, each)
    opened = job.opened
    own = _opened_for(engine, plan, step, opened)
    context: JsonObject = {"input": _action_input(plan, action, rendered, job, own)}
    found = _render_action(action, own, context, opened.pending)
    source = source_of(plan.definition, state.job)
    if source is not None:
        env = {name: str(opened.written(text, {})) for name, text in source[0].env.items()}
        found = replace(found, env={**found.env, **env})
    pending = opened.pending | own.pending
    known = set(leaves(secrets_of(engine, state.job, plan.definition)))
    hidden = (known | opened.values | own.values) - pending.keys() - {""}
    return replace(found, secrets=tuple(sorted(hidden)), references=pending)


def _opened_for(engine: Engine, plan: Plan, step: FlowStep, opened: Opened) -> Opened:
    """Return what the step's action reads secrets through: its owner's, where it has another."""
    owner = plan.owner_of(step)
    if owner is None:
        return opened
    return Opened(engine, owner.workspace, owner.definition, Use.CLAIM)


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
    """Return what an approval asks, in the context of its action; secrets are hidden in it.

    Raises:
        TemplateError: as `render_step`.
    """
    action = plan.definition.action_of(step)
    job = job_context(engine, plan, state)
    rendered = _step_input(engine, state, step, job, each)
    step_input = _action_input(plan, action, rendered, job, job.opened)
    message = job.opened.render(action.message or "", {"input": step_input})
    return job.opened.hidden(message)


def evaluate_when(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> str:
    """Return what the step's `when` renders to. Source: workflow language, section 1.6.

    Raises:
        TemplateError: as `render_step`.
    """
    text = step.when or ""
    job = job_context(engine, plan, state)
    return job.opened.render(text, _context(engine, state, job, names_used(text), each))


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
        return job.opened.render_value(wanted, context)
    context = _context(engine, state, job, names_used(wanted))
    given = job.opened.render_input(wanted, context)
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
    if each is not None and reads_secrets(step.for_each):
        job.opened.values.update(leaves(each.item))
    context = _context(engine, state, job, _names_in(step), each)
    return {name: job.opened.render_input(value, context) for name, value in step.input.items()}


def _context(
    engine: Engine,
    state: JobState,
    job: JobContext,
    names: frozenset[str],
    each: Round | None = None,
) -> JsonObject:
    context: JsonObject = {"input": job.input}
    if each is not None:
        context["each"] = each.to_context()
    context.update(_outputs(engine, state, names))
    return context


def shown_input(
    engine: Engine, plan: Plan, state: JobState, step: FlowStep, each: Round | None = None
) -> JsonObject:
    """Return the input that a step was given, for people: connections stay names.

    Workspace secrets that the definition itself holds are in place where the input reads them:
    redact before it leaves. Those that it refers to are dots. Where a template does not render
    (any more), the templates are returned as they stand.
    """
    values = load_object(engine.blobs, state.job.input)
    opened = Opened(engine, state.job.workspace, plan.definition, Use.SHOW)
    if each is not None and reads_secrets(step.for_each):
        each = replace(each, item=REDACTED)
    try:
        return _step_input(engine, state, step, JobContext(values, opened), each)
    except TemplateError:
        return step.input


def steps_read(plan: Plan, step: FlowStep) -> tuple[str, ...]:
    """Return the steps of the flow whose outputs the step's input reads."""
    names = _names_in(step)
    return tuple(key for key in plan.flow.order if context_name(key) in names)


def job_context(engine: Engine, plan: Plan, state: JobState, use: Use = Use.ENGINE) -> JobContext:
    """Return the job's whole input, all of it rendered, and the workspace's secrets to be read."""
    opened = Opened(engine, state.job.workspace, plan.definition, use)
    values = load_object(engine.blobs, state.job.input)
    if state.job.secret_input is not None:
        secret: JsonObject = json.loads(load_blob(engine.blobs, state.job.secret_input))
        opened.values.update(leaves(secret))
        values = {**values, **secret}
    values = with_defaults(opened, plan.task.input, values)
    values = _with_connections(opened, plan.definition, plan.task.input, values)
    return JobContext(values, opened)


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
    plan: Plan, action: Action, rendered: JsonObject, job: JobContext, own: Opened
) -> JsonObject:
    """Complete a step's input by its action's defaults; what is still missing is the job's.

    Defaults and connections are those of the action's own workspace, which `own` opens.
    """
    if is_hook_task(plan.task):
        # What the hook gave is the job's input; it comes before the action's defaults.
        rendered = job.input
    values = with_defaults(own, action.input, rendered)
    values = _with_connections(own, own.definition, action.input, values)
    return {**job.input, **values}


def with_defaults(opened: Opened, fields: dict[str, InputField], values: JsonObject) -> JsonObject:
    """Fill in the defaults of what is missing, those that are templates too."""
    missing = {
        name: opened.render_value(field.default, {})
        for name, field in fields.items()
        if field.has_default and name not in values
    }
    return {**missing, **values}


def _with_connections(
    opened: Opened, definition: Definition, fields: dict[str, InputField], values: JsonObject
) -> JsonObject:
    """Replace a connection's name by its values, where the type is a connection type."""
    found: JsonObject = {}
    for name, asked in fields.items():
        value = values.get(name)
        if asked.type not in definition.connection_types or not isinstance(value, str):
            continue
        # A secret name is masked where only what may be shown is rendered.
        if value != SECRET_MASK:
            found[name] = connection_values(opened, definition, value)
    return {**values, **found}


def connection_values(opened: Opened, definition: Definition, name: str) -> JsonObject:
    """Return a connection's values: defaults of its type, templates, references, as its types say.

    Raises:
        TemplateError: there is no such connection (any more), or as `render_step`.
    """
    connection = definition.connections.get(name)
    if connection is None:
        raise TemplateError(f"there is no connection {name[:100]!r} in this workspace")
    fields = definition.connection_types.get(connection.type or "", {})
    defaults = {key: field.default for key, field in fields.items() if field.has_default}
    values: JsonObject = {}
    for key, written in {**defaults, **connection.values}.items():
        value = opened.written(written, {})
        if key in fields:
            value = typed_as(fields[key].type, written, value)
            if fields[key].secret:
                opened.values.update(leaves(value))
        values[key] = value
    return values


def _render_action(
    action: Action, opened: Opened, context: JsonObject, given: dict[str, str]
) -> RenderedStep:
    """Render the action; `given` are the marks that its input may hold."""
    script = None if action.script is None else opened.render(action.script, context)
    for mark, reference in {**given, **opened.pending}.items():
        if script is not None and mark in script:
            raise TemplateError(
                f"{reference} is known to workers only, so it cannot be pasted into a script: "
                "give it to the script in the action's `env`"
            )
    return RenderedStep(
        script=script,
        args=tuple(opened.render(arg, context) for arg in action.args),
        env={name: str(opened.written(text, context)) for name, text in action.env.items()},
        input=cast("JsonObject", context["input"]),
    )
