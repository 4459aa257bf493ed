"""Workspaces as JSON. Source: HTTP API, section 4.1."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, RootModel

from chalicelib.api.bodies import OwnBody
from chalicelib.api.shapes import MaybeText, Shape
from chalicelib.domain.workspace import WorkspaceRecord


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
    """`refreshed` is false where there is no folder to read again."""

    workspace: str
    revision: str | None
    refreshed: bool


class Upload(Shape):
    """Where to PUT a workspace's tar.gz."""

    upload_id: str
    url: str
    expires_in_s: int


class RevisionBody(OwnBody):
    """Which upload to publish."""

    upload_id: str


class PublishedShape(Shape):
    """The revision in force. `changed` is false where the files were the same."""

    workspace: str
    revision: str
    changed: bool
    warnings: list[str]


def workspace_row(record: WorkspaceRecord) -> WorkspaceRow:
    """Return the workspace as a row of the list."""
    return WorkspaceRow(
        name=record.name,
        tasks_count=record.tasks_count,
        actions_count=record.actions_count,
        triggers_count=record.triggers_count,
        connections_count=record.connections_count,
        revision=record.revision,
        error=record.error,
        warnings=list(record.warnings),
    )
