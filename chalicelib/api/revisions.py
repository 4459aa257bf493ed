"""Routes of a workspace's revisions: what was published, how it differs, and the way back."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.sources_shapes import (
    DiffQuery,
    DiffShape,
    HistoryQuery,
    ManifestQuery,
    ManifestShape,
    RevisionList,
    RollbackBody,
    RolledBack,
    change_shape,
    revision_row,
)
from chalicelib.domain.callers import Permission, by_of
from chalicelib.domain.manifest import changes
from chalicelib.domain.origins import Origin
from chalicelib.engine.queries_registry import workspace_of
from chalicelib.workspaces.publish import put_back
from chalicelib.workspaces.revisions import before_in_force, manifest

bp = Blueprint(__name__)


@bp.route("/workspaces/{ws}/revisions", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List what was published in a workspace, newest first",
        answer=RevisionList,
        query=HistoryQuery,
        errors=(403, 404),
        needs=Permission.JOB_READ,
    ),
)
def list_revisions(call: Call, ws: str) -> RevisionList:
    call.require_whole(ws)
    in_force = workspace_of(call.engine, ws).revision
    found = call.engine.sources.history(ws, call.query(HistoryQuery).limit)
    return RevisionList(items=[revision_row(one, in_force) for one in found])


@bp.route("/workspaces/{ws}/rollback", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Put an earlier revision of a workspace in force again",
        answer=RolledBack,
        body=RollbackBody,
        errors=(403, 404, 409, 413),
        needs=Permission.JOB_WRITE,
    ),
)
def roll_back(call: Call, ws: str) -> RolledBack:
    call.require_whole(ws)
    before = workspace_of(call.engine, ws).revision
    wanted = call.body(RollbackBody).revision or before_in_force(call.engine, ws)
    origin = Origin(kind="rollback", by=by_of(call.caller), message=f"instead of {before}")
    published = put_back(call.engine, ws, wanted, origin)
    return RolledBack(workspace=ws, revision=wanted, changed=published.changed)


@bp.route("/workspaces/{ws}/manifest", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Tell what a revision is made of, each part by a digest",
        answer=ManifestShape,
        query=ManifestQuery,
        errors=(403, 404),
        needs=Permission.JOB_WRITE,
    ),
)
def get_manifest(call: Call, ws: str) -> ManifestShape:
    call.require_whole(ws)
    revision = call.query(ManifestQuery).revision or workspace_of(call.engine, ws).revision
    sections = manifest(call.engine, ws, revision)
    return ManifestShape(workspace=ws, revision=revision, sections=sections)


@bp.route("/workspaces/{ws}/diff", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Tell how a revision differs from an earlier one",
        answer=DiffShape,
        query=DiffQuery,
        errors=(403, 404),
        needs=Permission.JOB_WRITE,
    ),
)
def get_diff(call: Call, ws: str) -> DiffShape:
    call.require_whole(ws)
    query = call.query(DiffQuery)
    after = query.after or workspace_of(call.engine, ws).revision
    before = query.before or before_in_force(call.engine, ws)
    found = changes(manifest(call.engine, ws, before), manifest(call.engine, ws, after))
    return DiffShape(
        workspace=ws,
        before=before,
        after=after,
        sections={section: change_shape(one) for section, one in found.items()},
    )
