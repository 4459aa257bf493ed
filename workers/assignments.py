"""Reads a claim's JSON answer into an assignment. Source: HTTP API, section 4.3."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.event_sources import EventSource
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Action, ActionType, Language, RunnerKind
from chalicelib.engine.rendering import RenderedStep
from chalicelib.engine.steps import Assignment, Hold

_SHORT_LANGUAGES = {"js": "javascript", "ts": "typescript"}


def read_hold(answer: dict[str, Any]) -> Hold:
    """Return what the answer claimed."""
    ref = StepRef(str(answer["job_id"]), str(answer["step_name"]))
    return Hold(ref, int(answer.get("attempt") or 1), str(answer.get("lease") or ""))


def read_assignment(answer: dict[str, Any]) -> Assignment:
    """Return the claimed attempt.

    Raises:
        InvalidError: it asks for something that this version does not know.
    """
    spec = answer.get("action_spec") or {}
    try:
        return Assignment(
            hold=read_hold(answer),
            workspace=str(answer["workspace"]),
            revision=str(answer["revision"]),
            task=str(answer["task_name"]),
            action=_action(answer, spec),
            rendered=RenderedStep(
                script=spec.get("script"),
                args=tuple(spec.get("args") or ()),
                env={str(name): str(value) for name, value in (spec.get("env") or {}).items()},
                input=answer.get("input") or {},
                secrets=tuple(str(one) for one in answer.get("secrets") or ()),
                references=dict(answer.get("references") or {}),
            ),
            timeout_s=answer.get("timeout_secs"),
            emits=_emits(answer.get("event_source_config")),
            # An older server does not say it: then lines go as if somebody watched.
            watched=answer.get("watched") is not False,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidError(
            f"this worker does not understand the step it got: {error!r}"
        ) from error


def _emits(config: dict[str, Any] | None) -> EventSource | None:
    if config is None:
        return None
    return EventSource(
        workspace=str(config["workspace"]),
        source_id=str(config["source_id"]),
        target_task=str(config["target_task"]),
    )


def _action(answer: dict[str, Any], spec: dict[str, Any]) -> Action:
    language = spec.get("language") or "shell"
    return Action(
        key=str(answer.get("action_name") or ""),
        type=ActionType(answer.get("action_type") or "script"),
        source=spec.get("source"),
        language=Language(_SHORT_LANGUAGES.get(language, language)),
        interpreter=spec.get("interpreter"),
        dependencies=tuple(spec.get("dependencies") or ()),
        runner=RunnerKind(spec.get("runner") or answer.get("runner") or "local"),
    )
