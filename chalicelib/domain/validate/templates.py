"""Knows every templated place and what may be read there.

Source: workflow language, section 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.graph import Ancestry
from chalicelib.domain.parse.report import Report
from chalicelib.domain.sources import Path
from chalicelib.domain.template import context_name, has_template, names_used
from chalicelib.domain.validate.names import action_path
from chalicelib.domain.validate.names_used import (
    NO_FINDING,
    Context,
    check_input_values,
    check_strings,
    check_template,
)
from chalicelib.domain.validate.references import all_hooks
from chalicelib.domain.workflow import Action, Definition, FlowStep, InputField, Task

_NOTHING = Context(frozenset())
_SECRET = Context(frozenset({"secret"}))
_HOOK = Context(frozenset({"hook", "secret"}))
_RUN_TIME = frozenset({"input", "secret", "state", "global_state"})
_PROMOTION = frozenset({"input", "secret"})
_EACH = frozenset({"each"})


def check_templates(definition: Definition, report: Report) -> None:
    """Check the templates of the whole workspace."""
    check_strings(("secrets",), definition.secrets, _NOTHING, report)
    for connection in definition.connections.values():
        check_strings(("connections", connection.key), connection.values, _SECRET, report)
    for trigger in definition.triggers.values():
        check_strings(("triggers", trigger.key, "env"), trigger.env, _SECRET, report)
    for path, hook in all_hooks(definition):
        check_input_values((*path, "input"), hook.input, _HOOK, report)
    for task in definition.tasks.values():
        _check_task(task, report)
    steps = frozenset(context_name(s) for task in definition.tasks.values() for s in task.flow)
    for action in definition.actions.values():
        _check_action(action, steps, report)


def _check_task(task: Task, report: Report) -> None:
    _check_defaults(("tasks", task.key, "input"), task.input, report)
    _check_key(task, report)
    ancestry = Ancestry(task.flow)
    names = {context_name(step): step for step in task.flow}
    for step in task.flow.values():
        path = ("tasks", task.key, "flow", step.key)
        upstream = frozenset(context_name(dep) for dep in step.depends_on)
        explain = partial(_why_not_a_step, ancestry, step, names)
        each = _EACH if step.for_each is not None else frozenset[str]()
        at_claim = Context(_RUN_TIME | upstream | each, explain)
        at_promotion = Context(_PROMOTION | upstream | each, explain)
        check_input_values((*path, "input"), step.input, at_claim, report)
        if step.when is not None:
            check_template((*path, "when"), step.when, at_promotion, report)
        if isinstance(step.for_each, str):
            context = Context(_PROMOTION | upstream, explain)
            check_template((*path, "for_each"), step.for_each, context, report)


def _check_key(task: Task, report: Report) -> None:
    """Refuse what may not stand in a key: it is stored, and rendered before any step runs."""
    key = task.concurrency.key if task.concurrency else None
    if key is None:
        return
    path = ("tasks", task.key, "concurrency", "key")
    if not has_template(key):
        reason = "is the same for every job: without braces this is a text, not a template"
        report.warning(path, reason, 'key: "{{ input.name }}", or leave it out')
        return
    try:
        names = names_used(key)
    except TemplateError as error:
        why = error.message.removeprefix("template error: ")
        report.error(path, f"the template does not parse: {why}")
        return
    for name in sorted(names - {"input"}):
        reason = f"reads `{name}`; a key reads the job's `input` only"
        report.error(path, reason, "give the job an input for it, and read that")
    for name, field in task.input.items():
        if field.secret and re.search(rf"\binput\.{re.escape(name)}\b", key):
            reason = f"the secret input `{name}` is masked here, so it is the same for every job"
            report.warning(path, reason, "use an input that is no secret")


def _why_not_a_step(
    ancestry: Ancestry, step: FlowStep, names: Mapping[str, str], name: str
) -> tuple[str, str] | None:
    if name == "each":
        return "`each` is only known in a step with `for_each`", "add `for_each`, or use `input`"
    other = names.get(name)
    if other is None:
        return _hyphenated(names, name)
    if other == step.key:
        return "the step reads its own output, which is not there yet", "name an earlier step"
    if ancestry.waits(step.key, other):
        return NO_FINDING
    reason = f"reads the step `{other}`, which need not have run before"
    return reason, f"add `{other}` to `depends_on`"


def _hyphenated(names: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """Explain half a name: to a template, `say-hello` is `say` minus `hello`."""
    for known, step in names.items():
        if known != step and name in step.split("-"):
            return f"a template reads the step `{step}` as `{known}`", f"{{{{ {known}.output }}}}"
    return None


def _check_defaults(path: Path, fields: Mapping[str, InputField], report: Report) -> None:
    for name, field in fields.items():
        if field.has_default:
            check_strings((*path, name, "default"), field.default, _SECRET, report)


def _check_action(action: Action, steps: frozenset[str], report: Report) -> None:
    path = action_path(action)
    context = Context(_RUN_TIME, partial(_why_not_in_an_action, steps))
    for key in ("script", "image", "cmd", "args", "env", "manifest", "message"):
        check_strings((*path, key), getattr(action, key), context, report)
    if action.agent is not None:
        check_strings((*path, "prompt"), action.agent.prompt, context, report)
        check_strings((*path, "system_prompt"), action.agent.system_prompt, context, report)
    _check_defaults((*path, "input"), action.input, report)


def _why_not_in_an_action(steps: frozenset[str], name: str) -> tuple[str, str] | None:
    if name == "each" or name in steps:
        reason = f"`{name}` is known to a step's `input`, not inside an action"
        return (
            reason,
            f'give the step `input: {{ value: "{{{{ {name}.… }}}}" }}` and read `input.value`',
        )
    return None
