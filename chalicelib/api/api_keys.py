"""Routes of API keys: a person's own, never another's. Source: HTTP API, section 4.1."""

from __future__ import annotations

from datetime import timedelta

from chalice.app import Blueprint
from pydantic import RootModel

from chalicelib.api.auth_shapes import KeyBody, KeyShape, NewKey, bounds_of, key_shape
from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.shapes import Status
from chalicelib.api.visitors import person_of
from chalicelib.auth import api_keys as texts
from chalicelib.auth.api_keys import Wanted
from chalicelib.engine import api_keys

bp = Blueprint(__name__)


class KeyList(RootModel[list[KeyShape]]):
    """The caller's keys, oldest first."""


@bp.route("/auth/api-keys", methods=["GET"])
@answered(
    bp,
    Operation(summary="List the caller's API keys", answer=KeyList, errors=(403,), personal=True),
)
def list_api_keys(call: Call) -> KeyList:
    found = api_keys.of_user(call.engine, person_of(call))
    return KeyList([key_shape(key) for key in found])


@bp.route("/auth/api-keys", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Make an API key, which is shown this once",
        answer=NewKey,
        body=KeyBody,
        errors=(403,),
        personal=True,
    ),
)
def make_api_key(call: Call) -> NewKey:
    user_id = person_of(call)
    body = call.body(KeyBody)
    days = body.expires_in_days
    wanted = Wanted(
        name=body.name,
        expires_at=call.engine.clock.now() + timedelta(days=days) if days else None,
        scopes=body.scopes,
        workspaces=body.workspaces,
    )
    issued = texts.issue(call.engine, user_id, wanted)
    key = issued.key
    call.audit(resource=f"API key {key.prefix}")
    return NewKey(
        key=issued.text,
        name=key.name,
        prefix=key.prefix,
        expires_at=key.expires_at,
        **bounds_of(key),
    )


@bp.route("/auth/api-keys/{prefix}", methods=["DELETE"])
@answered(
    bp,
    Operation(summary="Take an API key away", answer=Status, errors=(403, 404), personal=True),
)
def delete_api_key(call: Call, prefix: str) -> Status:
    api_keys.remove(call.engine, person_of(call), prefix)
    return Status()
