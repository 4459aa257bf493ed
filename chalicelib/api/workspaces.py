"""Routes of workspaces: list, refresh, upload, publish. Source: HTTP API, section 4.1."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chalice.app import Blueprint, Response

from chalicelib.api.edge import Answer, Call, Operation, Reply, answered, checked_id
from chalicelib.api.problems import problem_of
from chalicelib.api.workspaces_shapes import (
    PublishedShape,
    Refreshed,
    RevisionBody,
    Upload,
    WorkspaceList,
    workspace_row,
)
from chalicelib.domain import keys
from chalicelib.domain.callers import Permission, by_of
from chalicelib.domain.errors import InvalidError, NotFoundError, RateLimitedError, WorkspaceError
from chalicelib.domain.names import is_workspace_name
from chalicelib.domain.origins import Holder, Origin, SourceKind, SourceRecord
from chalicelib.domain.reading import spelled
from chalicelib.domain.workflow import Finding, Severity
from chalicelib.engine.queries_registry import workspace_of
from chalicelib.workspaces.folder import read_folder
from chalicelib.workspaces.publish import Published, publish
from chalicelib.workspaces.sources import look
from chalicelib.workspaces.tarball import unpack

bp = Blueprint(__name__)

REFRESH_PAUSE = timedelta(seconds=5)
UPLOAD_S = 300


@bp.route("/workspaces", methods=["GET"])
@answered(
    bp, Operation(summary="List workspaces", answer=WorkspaceList, needs=Permission.JOB_READ)
)
def list_workspaces(call: Call) -> WorkspaceList:
    rights = call.rights
    found = [one for one in call.engine.registry.workspaces() if rights.sees(one.name)]
    sources = {one.name: one.trouble for one in call.engine.sources.all(Holder.WORKSPACE)}
    return WorkspaceList(
        [workspace_row(call.engine, one, rights, sources.get(one.name)) for one in found]
    )


@bp.route("/workspaces/{ws}/refresh", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Read a workspace's source again",
        answer=Refreshed,
        errors=(404, 409, 422, 429),
        needs=Permission.JOB_EXECUTE,
    ),
)
def refresh_workspace(call: Call, ws: str) -> Answer:
    call.require(ws)
    record = workspace_of(call.engine, ws)
    source = call.engine.sources.get(Holder.WORKSPACE, ws)
    if source is not None and source.source.kind is not SourceKind.PUSH:
        return _refreshed(call, source)
    if record.source is None or not Path(record.source).is_dir():
        return Refreshed(workspace=ws, revision=record.revision, refreshed=False)
    _check_pause(call, ws, record.tried_at)
    origin = Origin(kind=SourceKind.FOLDER.value, by=by_of(call.caller))
    tree = read_folder(Path(record.source))
    published = publish(call.engine, ws, tree, record.source, origin)
    if not published.ok:
        return _refusal(call, published)
    return Refreshed(workspace=ws, revision=published.revision, refreshed=True)


def _refreshed(call: Call, source: SourceRecord) -> Answer:
    _check_pause(call, source.name, source.tried_at)
    looked = look(call.engine, source)
    published = Published(looked.revision, looked.changed, looked.findings)
    if not published.ok:
        return _refusal(call, published)
    return Refreshed(workspace=source.name, revision=looked.revision, refreshed=True)


def _check_pause(call: Call, ws: str, tried_at: datetime | None) -> None:
    """Raise RateLimitedError within five seconds of the last try."""
    if tried_at is None:
        return
    wait = tried_at + REFRESH_PAUSE - call.engine.clock.now()
    if wait > timedelta():
        raise RateLimitedError(
            f"workspace {ws!r} was read a moment ago: try again in a few seconds",
            math.ceil(wait.total_seconds()),
        )


@bp.route("/workspaces/{ws}/uploads", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Get a place to PUT a workspace's tar.gz",
        answer=Upload,
        status=201,
        needs=Permission.JOB_WRITE,
    ),
)
def create_upload(call: Call, ws: str) -> Upload:
    _check_name(ws)
    call.require_whole(ws)
    upload_id = call.engine.ids.job_id()
    url = call.engine.blobs.upload_url(keys.upload_blob(upload_id), UPLOAD_S)
    return Upload(upload_id=upload_id, url=url, expires_in_s=UPLOAD_S)


@bp.route("/workspaces/{ws}/revisions", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Publish an upload as the workspace's revision in force",
        answer=PublishedShape,
        body=RevisionBody,
        errors=(404, 409, 413, 422),
        needs=Permission.JOB_WRITE,
    ),
)
def create_revision(call: Call, ws: str) -> Answer:
    _check_name(ws)
    call.require_whole(ws)
    body = call.body(RevisionBody)
    upload_id = checked_id(body.upload_id, "an upload")
    blob = keys.upload_blob(upload_id)
    try:
        content = call.engine.blobs.get(blob)
    except NotFoundError:
        raise NotFoundError(
            f"upload {upload_id} holds nothing: PUT the tar.gz to its url first; an upload can "
            "be published once"
        ) from None
    origin = Origin(by=by_of(call.caller), message=body.message)
    published = publish(call.engine, ws, unpack(content), None, origin)
    call.engine.blobs.delete(blob)
    if not published.ok or published.revision is None:
        return _refusal(call, published)
    return Reply(
        PublishedShape(
            workspace=ws,
            revision=published.revision,
            changed=published.changed,
            warnings=[spelled(finding) for finding in published.findings],
        )
    )


def _check_name(ws: str) -> None:
    if not is_workspace_name(ws):
        raise InvalidError(
            f"{ws[:80]!r} cannot name a workspace: letters, digits, `_` and `-`, at most 64"
        )


def _refusal(call: Call, published: Published) -> Response:
    """Return the answer that tells every fault; the last good revision stays in force."""
    faults = [f for f in published.findings if f.severity is Severity.ERROR]
    kept = f"; revision {published.revision} stays in force" if published.revision else ""
    first = spelled(faults[0]) if faults else "it holds no definition"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    error = WorkspaceError(f"the workspace does not load{kept}: {first}{more}")
    return problem_of(error, call.request_id, [_fault(finding) for finding in faults])


def _fault(finding: Finding) -> dict[str, Any]:
    return {
        "pointer": f"{finding.file}:{finding.line}:{finding.column}",
        "message": finding.reason,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "path": finding.path,
        "fix": finding.fix,
    }
