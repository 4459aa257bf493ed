"""Routes of sources: where workspaces and libraries come from. Source: configuration, 7.1, 8."""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from chalice.app import Blueprint

from chalicelib.api.bodies import MAX_BODY_BYTES
from chalicelib.api.edge import ALL_TYPES, Call, Operation, Reply, answered
from chalicelib.api.shapes import Status
from chalicelib.api.sources_shapes import (
    HookHeard,
    SourceBody,
    SourceList,
    SourceShape,
    source_shape,
)
from chalicelib.api.workspaces import REFRESH_PAUSE
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError, StroemError
from chalicelib.domain.names import is_workspace_name
from chalicelib.domain.origins import Holder, SourceKind, SourceRecord
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine.engine import Engine
from chalicelib.workspaces.sources import look, refresh_all_users, secret_of

bp = Blueprint(__name__)
hooks = Blueprint(f"{__name__}_hooks")

_ACCEPTED = 202


@bp.route("/workspaces/{ws}/source", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Tell where a workspace's files come from",
        answer=SourceShape,
        errors=(403, 404),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def get_source(call: Call, ws: str) -> SourceShape:
    call.require_whole(ws)
    return _shown(call.engine, _found(call.engine, Holder.WORKSPACE, ws))


@bp.route("/workspaces/{ws}/source", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Say where a workspace's files come from, and read them; a new name makes one",
        answer=SourceShape,
        body=SourceBody,
        errors=(403, 404, 409, 413),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def put_source(call: Call, ws: str) -> SourceShape:
    _check_name(ws)
    call.require_whole(ws)
    record = _put(call, Holder.WORKSPACE, ws)
    with suppress(ConflictError):
        # So that it is listed before its first good revision.
        call.engine.registry.put_workspace(WorkspaceRecord(name=ws), None)
    return _looked(call.engine, record)


@bp.route("/workspaces/{ws}/source", methods=["DELETE"])
@answered(
    bp,
    Operation(
        summary="Read a workspace's source no more; what is published stays, and can be pushed to",
        answer=Status,
        errors=(403, 404),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def delete_source(call: Call, ws: str) -> Status:
    call.require_whole(ws)
    _found(call.engine, Holder.WORKSPACE, ws)
    call.engine.sources.delete(Holder.WORKSPACE, ws)
    return Status()


@bp.route("/libraries", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List libraries",
        answer=SourceList,
        errors=(403,),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def list_libraries(call: Call) -> SourceList:
    found = call.engine.sources.all(Holder.LIBRARY)
    return SourceList(items=[_shown(call.engine, record) for record in found])


@bp.route("/libraries/{name}", methods=["PUT"])
@answered(
    bp,
    Operation(
        summary="Say where a library's files come from, and read them; all workspaces get them",
        answer=SourceShape,
        body=SourceBody,
        errors=(403, 409, 413),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def put_library(call: Call, name: str) -> SourceShape:
    _check_name(name)
    body = call.body(SourceBody)
    if body.kind is SourceKind.PUSH:
        raise InvalidError("a library is read from git or from a folder")
    return _looked(call.engine, _put(call, Holder.LIBRARY, name))


@bp.route("/libraries/{name}", methods=["DELETE"])
@answered(
    bp,
    Operation(
        summary="Remove a library; workspaces are published again without it",
        answer=Status,
        errors=(403, 404),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def delete_library(call: Call, name: str) -> Status:
    _found(call.engine, Holder.LIBRARY, name)
    call.engine.sources.delete(Holder.LIBRARY, name)
    refresh_all_users(call.engine, name)
    return Status()


@bp.route("/libraries/{name}/refresh", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Read a library's source now",
        answer=SourceShape,
        errors=(403, 404, 409),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def refresh_library(call: Call, name: str) -> SourceShape:
    return _looked(call.engine, _found(call.engine, Holder.LIBRARY, name))


@hooks.route("/hooks/_workspace/{ws}", methods=["POST"], content_types=[ALL_TYPES])
@answered(
    hooks,
    Operation(
        summary="Hear from GitHub or GitLab that a workspace's repository was pushed to",
        answer=HookHeard,
        headers={
            "X-Hub-Signature-256": "`sha256=` and the body's HMAC, as GitHub signs.",
            "X-Gitlab-Token": "The secret itself, as GitLab sends it.",
        },
        errors=(404, 409, 413),
        public=True,
    ),
)
def hear_push(call: Call, ws: str) -> Reply:
    raw = call.raw(MAX_BODY_BYTES)
    record = call.engine.sources.get(Holder.WORKSPACE, ws) if is_workspace_name(ws) else None
    if record is None or not _is_signed(call, record, raw):
        # Who cannot sign learns nothing of what there is.
        raise NotFoundError("there is no such hook")
    call.audit(action="workspace.push-hook", resource=f"workspace {ws}", actor="git")
    now = call.engine.clock.now()
    if record.tried_at is not None and now - record.tried_at < REFRESH_PAUSE:
        with suppress(ConflictError):
            # The next tick looks: pushes may come in any number.
            call.engine.sources.put(replace(record, tried_at=None), record)
        return Reply(HookHeard(workspace=ws, refreshed=False), _ACCEPTED)
    with suppress(StroemError):
        # What went wrong stands in the source, for those who may read it.
        look(call.engine, record)
    return Reply(HookHeard(workspace=ws, refreshed=True), _ACCEPTED)


def _is_signed(call: Call, record: SourceRecord, raw: bytes) -> bool:
    secret = None
    with suppress(InvalidError):
        secret = secret_of(call.engine, record.source.hook_secret)
    if not secret:
        return False
    signed = "sha256=" + hmac.new(secret.encode(), raw, sha256).hexdigest()
    given = (call.header("X-Hub-Signature-256") or "").encode()
    token = (call.header("X-Gitlab-Token") or "").encode()
    is_github = hmac.compare_digest(signed.encode(), given)
    return hmac.compare_digest(secret.encode(), token) or is_github


def _put(call: Call, holder: Holder, name: str) -> SourceRecord:
    engine = call.engine
    before = engine.sources.get(holder, name)
    wanted = call.body(SourceBody).wanted()
    fresh = before or SourceRecord(holder=holder, name=name, source=wanted)
    # It is read anew: the same commit of another repository is another thing.
    record = replace(fresh, source=wanted, seen=None, tried_at=None, fault=None, error=None)
    engine.sources.put(record, before)
    return record


def _looked(engine: Engine, record: SourceRecord) -> SourceShape:
    with suppress(StroemError):
        # What is wrong is shown as `trouble`.
        look(engine, record)
    return _shown(engine, _found(engine, record.holder, record.name))


def _shown(engine: Engine, record: SourceRecord) -> SourceShape:
    revision = record.revision
    if record.holder is Holder.WORKSPACE:
        revision = engine.registry.workspace(record.name).revision
    return source_shape(record, revision)


def _found(engine: Engine, holder: Holder, name: str) -> SourceRecord:
    record = engine.sources.get(holder, name)
    if record is None:
        raise NotFoundError(f"{holder} {name[:80]!r} has no source")
    return record


def _check_name(name: str) -> None:
    if not is_workspace_name(name):
        raise InvalidError(
            f"{name[:80]!r} cannot be such a name: letters, digits, `_` and `-`, at most 64"
        )
