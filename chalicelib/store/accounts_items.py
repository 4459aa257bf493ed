"""How accounts stand in an item: as JSON, so that one text tells whether anything changed.

One rule: what was written is written the same way again, or a conditional change would refuse.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from chalicelib.domain.accounts import AuthLink, Reset, User
from chalicelib.domain.callers import Permission
from chalicelib.domain.credentials import ApiKey, DeviceGrant, GrantState, Session
from chalicelib.domain.logs import stamp
from chalicelib.store.attributes import dumped, parsed


def dump_user(user: User) -> str:
    return dumped(
        {
            "email": user.email,
            "created_at": stamp(user.created_at),
            "stamp": user.stamp,
            "name": user.name,
            "is_admin": user.is_admin,
            "groups": user.groups,
            "roles": user.roles,
            "disabled": user.disabled,
            "password_hash": user.password_hash,
            "last_login_at": _text(user.last_login_at),
            "links": [[link.provider, link.subject] for link in user.links],
            "reset": [user.reset.digest, stamp(user.reset.expires_at)] if user.reset else None,
        }
    )


def load_user(user_id: str, body: str) -> User:
    said: dict[str, Any] = json.loads(body)
    reset = said["reset"]
    return User(
        user_id=user_id,
        email=said["email"],
        created_at=parsed(said["created_at"]),
        stamp=said["stamp"],
        name=said["name"],
        is_admin=said["is_admin"],
        groups=tuple(said["groups"]),
        roles=tuple(said["roles"]),
        disabled=said["disabled"],
        password_hash=said["password_hash"],
        last_login_at=_instant(said["last_login_at"]),
        links=tuple(AuthLink(*link) for link in said["links"]),
        reset=Reset(reset[0], parsed(reset[1])) if reset else None,
    )


def dump_session(session: Session) -> str:
    return dumped(
        {
            "stamp": session.stamp,
            "digest": session.digest,
            "device": session.device,
            "created_at": stamp(session.created_at),
            "expires_at": stamp(session.expires_at),
            "generation": session.generation,
            "previous": session.previous,
            "renewed_at": _text(session.renewed_at),
            "revoked": session.revoked,
        }
    )


def load_session(user_id: str, session_id: str, body: str) -> Session:
    said: dict[str, Any] = json.loads(body)
    return Session(
        session_id=session_id,
        user_id=user_id,
        stamp=said["stamp"],
        digest=said["digest"],
        device=said["device"],
        created_at=parsed(said["created_at"]),
        expires_at=parsed(said["expires_at"]),
        generation=said["generation"],
        previous=said["previous"],
        renewed_at=_instant(said["renewed_at"]),
        revoked=said["revoked"],
    )


def dump_key(key: ApiKey) -> str:
    return dumped(
        {
            "digest": key.digest,
            "user_id": key.user_id,
            "name": key.name,
            "created_at": stamp(key.created_at),
            "expires_at": _text(key.expires_at),
            "scopes": None if key.scopes is None else sorted(key.scopes),
            "workspaces": None if key.workspaces is None else sorted(key.workspaces),
            "last_used_at": _text(key.last_used_at),
        }
    )


def load_key(prefix: str, body: str) -> ApiKey:
    said: dict[str, Any] = json.loads(body)
    scopes, workspaces = said["scopes"], said["workspaces"]
    return ApiKey(
        prefix=prefix,
        digest=said["digest"],
        user_id=said["user_id"],
        name=said["name"],
        created_at=parsed(said["created_at"]),
        expires_at=_instant(said["expires_at"]),
        scopes=None if scopes is None else frozenset(map(Permission, scopes)),
        workspaces=None if workspaces is None else frozenset(workspaces),
        last_used_at=_instant(said["last_used_at"]),
    )


def dump_grant(grant: DeviceGrant) -> str:
    return dumped(
        {
            "digest": grant.digest,
            "client": grant.client,
            "created_at": stamp(grant.created_at),
            "expires_at": stamp(grant.expires_at),
            "state": grant.state.value,
            "user_id": grant.user_id,
            "stamp": grant.stamp,
            "polled_at": _text(grant.polled_at),
            "taken_by": grant.taken_by,
        }
    )


def load_grant(user_code: str, body: str) -> DeviceGrant:
    said: dict[str, Any] = json.loads(body)
    return DeviceGrant(
        user_code=user_code,
        digest=said["digest"],
        client=said["client"],
        created_at=parsed(said["created_at"]),
        expires_at=parsed(said["expires_at"]),
        state=GrantState(said["state"]),
        user_id=said["user_id"],
        stamp=said["stamp"],
        polled_at=_instant(said["polled_at"]),
        taken_by=said["taken_by"],
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parsed(text)
