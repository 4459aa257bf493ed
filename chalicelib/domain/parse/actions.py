"""Actions, named ones and those written inside a step.

Both generations: `type: script` and `type: shell` with `cmd`.

An action comes back even when it has faults, so that what refers to it is still checked.
Source: workflow language, section 1.2; decision 4.
"""

from __future__ import annotations

import re

from chalicelib.domain.parse.agents import parse_agent
from chalicelib.domain.parse.fields import parse_inputs, parse_outputs, parse_retry
from chalicelib.domain.parse.keys import ACTION, APPLIES, RESOURCES, SOFT
from chalicelib.domain.parse.reader import Reader
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import (
    Action,
    ActionType,
    InputField,
    Language,
    Resources,
    Retry,
    RunnerKind,
)

_OLDER_TYPES = {"shell": ActionType.SCRIPT}
_LANGUAGES = {"js": Language.JAVASCRIPT, "ts": Language.TYPESCRIPT}
_INTERPRETER = re.compile(r"[A-Za-z0-9._\-/+]+")
_DEPENDENCY = re.compile(r"[A-Za-z0-9@._][A-Za-z0-9@._/+\-\[\],=<>!~^: ]*")


def parse_action(key: str, reader: Reader) -> Action:
    """Return the action that a whole mapping describes."""
    reader.unknown(ACTION)
    return build_action(key, reader, parse_inputs(reader), parse_retry(reader))


def build_action(
    key: str, reader: Reader, fields: dict[str, InputField], retry: Retry | None
) -> Action:
    """Return the action, with its inputs and its retry rule read before."""
    kind = _kind(reader)
    _refuse_what_does_not_apply(reader, kind)
    script, source = _program(reader, kind)
    is_container = kind in (ActionType.DOCKER, ActionType.POD)
    return Action(
        key=key,
        type=kind,
        name=reader.text("name"),
        description=reader.text("description"),
        script=script,
        source=source,
        language=reader.choice("language", Language.SHELL, _LANGUAGES),
        dependencies=_dependencies(reader),
        interpreter=_interpreter(reader),
        runner=reader.choice("runner", RunnerKind.LOCAL),
        args=reader.texts("args") or (),
        image=reader.text("image", required=is_container),
        cmd=reader.text("cmd") if is_container else None,
        command=reader.texts("command"),
        entrypoint=reader.texts("entrypoint"),
        env=reader.text_map("env"),
        workdir=reader.text("workdir"),
        resources=_resources(reader),
        manifest=_manifest(reader),
        tags=reader.texts("tags") or (),
        task=reader.text("task", required=kind is ActionType.TASK),
        message=reader.text("message", required=kind is ActionType.APPROVAL),
        agent=parse_agent(reader) if kind is ActionType.AGENT else None,
        input=fields,
        output=parse_outputs(reader),
        retry=retry,
    )


def _kind(reader: Reader) -> ActionType:
    if not reader.has("type"):
        reader.missing("type", f"one of {', '.join(ActionType)}")
    return reader.choice("type", ActionType.SCRIPT, _OLDER_TYPES)


def _refuse_what_does_not_apply(reader: Reader, kind: ActionType) -> None:
    for key in ACTION:
        if not reader.has(key) or key in APPLIES[kind]:
            continue
        if key in SOFT and kind is not ActionType.TASK:
            reason = f"`{key}` has no effect on an action of type {kind}"
            reader.report.warning(reader.at(key), reason, "leave it out")
        else:
            reason = f"`{key}` does not belong to an action of type {kind}"
            reader.report.error(reader.at(key), reason, _instead(key, kind))


def _instead(key: str, kind: ActionType) -> str | None:
    if kind is ActionType.SCRIPT and key in ("image", "command", "entrypoint"):
        return "for a container use `type: docker`, or `runner: docker` beside the script"
    if key in ("script", "source") and kind in (ActionType.DOCKER, ActionType.POD):
        return "use `cmd`, which a shell in the container runs"
    return None


def _program(reader: Reader, kind: ActionType) -> tuple[str | None, str | None]:
    """Return `script` and `source`, of which a script must have exactly one."""
    if kind is not ActionType.SCRIPT:
        return None, None
    # `cmd` is what the older generation calls `script`.
    given = [key for key in ("script", "cmd", "source") if reader.has(key)]
    if not given:
        reader.missing("script", "give the program as `script`, or a file's path as `source`")
    elif len(given) > 1:
        reason = f"`{given[0]}` and `{given[1]}` are both given; a script has one program"
        reader.report.error(reader.at(given[1]), reason, "leave one of them out")
    texts = {key: reader.text(key, required=True) for key in given}
    source = texts.get("source")
    if source:
        _check_source(reader, source)
    return texts.get("script", texts.get("cmd")), source


def _check_source(reader: Reader, source: str) -> None:
    parts = source.split("/")
    if source.startswith("/") or "\\" in source or ".." in parts or not source.strip("/. "):
        reason = f"`{source}` is not the path of a file inside the workspace"
        fix = "write it relative to the workspace's root, without `..`"
        reader.report.error(reader.at("source"), reason, fix)


def _dependencies(reader: Reader) -> tuple[str, ...]:
    found = reader.texts("dependencies") or ()
    for index, item in enumerate(found):
        if not _DEPENDENCY.fullmatch(item):
            reason = f"`{item}` is not a package: shell characters are refused"
            fix = "write a name and a version, as in `requests>=2.32`"
            reader.report.error(reader.at("dependencies", index), reason, fix)
    if found and not reader.has("language"):
        reason = "`dependencies` are installed for a `language`, and none is set"
        reader.report.warning(reader.at("dependencies"), reason, "language: python")
    return found


def _interpreter(reader: Reader) -> str | None:
    found = reader.text("interpreter")
    if found is not None and not _INTERPRETER.fullmatch(found):
        reason = f"`{found}` is not the name or path of a program"
        fix = "letters, digits and . _ - / + only; arguments go into `args`"
        reader.report.error(reader.at("interpreter"), reason, fix)
    return found


def _resources(reader: Reader) -> Resources | None:
    below = reader.below("resources")
    if below is None:
        return None
    below.unknown(RESOURCES)
    return Resources(cpu=below.text("cpu"), memory=below.text("memory"))


def _manifest(reader: Reader) -> JsonObject | None:
    return reader.object("manifest") if reader.has("manifest") else None
