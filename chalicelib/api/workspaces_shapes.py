"""Workspaces as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field, RootModel

from chalicelib.api.bodies import OwnBody
from chalicelib.api.shapes import MaybeText, Shape
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine.access import Rights
from chalicelib.engine.engine import Engine
from chalicelib.engine.queries_registry import task_views


class WorkspaceRow(Shape):
    """A workspace, with what the newest try to publish it had to say."""

    name: str
    tasks_count: int
    actions_count: int
    triggers_count: int
    connections_count: int
    revision: str | None
    error: MaybeText
    warnings: Annotated[list[str], Field(exclude_if=lambda found: not found)]


class WorkspaceList(RootModel[list[WorkspaceRow]]):
    """Workspaces, by name."""


class Refreshed(Shape):
    """`refreshed` is false where there is no source to read again: the workspace is pushed."""

    workspace: str
    revision: str | None
    refreshed: bool


class Upload(Shape):
    """Where to PUT a workspace's tar.gz."""

    upload_id: str
    url: str
    expires_in_s: int


class RevisionBody(OwnBody):
    """Which upload to publish, and what is said of it."""

    upload_id: str
    message: Annotated[str, Field(max_length=500)] | None = None


class PublishedShape(Shape):
    """The revision in force. `changed` is false where the files were the same."""

    workspace: str
    revision: str
    changed: bool
    warnings: list[str]


def workspace_row(
    engine: Engine, record: WorkspaceRecord, rights: Rights, trouble: str | None = None
) -> WorkspaceRow:
    """Return the workspace as a row of the list; who sees a part of it has only that counted.

    `trouble` is what is wrong with its source.
    """
    if not rights.sees_all(record.name):
        record = _seen(engine, record, rights)
    return WorkspaceRow(
        name=record.name,
        tasks_count=record.tasks_count,
        actions_count=record.actions_count,
        triggers_count=record.triggers_count,
        connections_count=record.connections_count,
        revision=record.revision,
        error=record.error or (trouble if rights.sees_all(record.name) else None),
        warnings=list(record.warnings),
    )


def _seen(engine: Engine, record: WorkspaceRecord, rights: Rights) -> WorkspaceRecord:
    views = [v for v in task_views(engine, record.name) if rights.sees(record.name, v.task.key)]
    return replace(
        record,
        tasks_count=len(views),
        triggers_count=len({trigger.key for view in views for trigger in view.triggers}),
        actions_count=0,
        connections_count=0,
        error=None,
        warnings=(),
    )
