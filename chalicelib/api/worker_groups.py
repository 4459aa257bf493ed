"""Routes for those who look after workers: groups, and the tokens by which workers join them."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.worker_groups_shapes import (
    GroupBody,
    GroupList,
    GroupShape,
    IssuedShape,
    TokenBody,
    group_shape,
    issued_shape,
)
from chalicelib.auth import worker_tokens
from chalicelib.domain.callers import Permission
from chalicelib.engine import worker_groups

bp = Blueprint(__name__)


@bp.route("/worker-groups", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="List worker groups, the revoked ones too",
        answer=GroupList,
        errors=(403,),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def list_worker_groups(call: Call) -> GroupList:
    found = [group_shape(group) for group in call.engine.worker_groups.groups()]
    return GroupList(items=found, total=len(found))


@bp.route("/worker-groups", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Make a worker group; it has no token yet",
        answer=GroupShape,
        status=201,
        body=GroupBody,
        errors=(403, 409, 413),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def create_worker_group(call: Call) -> GroupShape:
    return group_shape(worker_groups.create(call.engine, call.body(GroupBody).wanted()))


@bp.route("/worker-groups/{name}", methods=["DELETE"])
@answered(
    bp,
    Operation(
        summary="Revoke a worker group: all its tokens end within ten seconds",
        answer=GroupShape,
        errors=(403, 404),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def revoke_worker_group(call: Call, name: str) -> GroupShape:
    return group_shape(worker_groups.revoke(call.engine, name))


@bp.route("/worker-groups/{name}/tokens", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Give a worker group a token, which is shown this once; it may have two",
        answer=IssuedShape,
        status=201,
        body=TokenBody,
        errors=(403, 404, 409, 413),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def issue_worker_token(call: Call, name: str) -> IssuedShape:
    until = call.body(TokenBody).until()
    return issued_shape(worker_tokens.issue(call.engine, name, until))


@bp.route("/worker-groups/{name}/tokens/{token_id}", methods=["DELETE"])
@answered(
    bp,
    Operation(
        summary="Take a token away, and with it all that was given for it",
        answer=GroupShape,
        errors=(403, 404),
        needs=Permission.SYSTEM_CONFIG,
    ),
)
def drop_worker_token(call: Call, name: str, token_id: str) -> GroupShape:
    return group_shape(worker_groups.drop_token(call.engine, name, token_id))
