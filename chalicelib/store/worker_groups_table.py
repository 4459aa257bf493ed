"""Worker groups on DynamoDB, in the table `registry`: one item a group, tokens and all.

A change says what it changes in its condition: of two at a time one is refused.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.logs import stamp
from chalicelib.domain.worker_groups import Scope, WorkerGroup, WorkerToken
from chalicelib.store.attributes import dumped, parsed
from chalicelib.store.dynamo import Item, RefusedError, answering, bind


class WorkerGroupItem(Item):
    """A group; its name is the sort key, all else is JSON."""

    body = UnicodeAttribute()


class WorkerGroupsTable:
    """Groups by name; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(WorkerGroupItem, name, region, host)

    def groups(self) -> list[WorkerGroup]:
        with answering(self._name):
            items = self._item.query(keys.WORKER_GROUPS_PK, consistent_read=True)
            return [_group_of(item) for item in items]

    def group(self, name: str) -> WorkerGroup:
        return _group_of(self._get(name))

    def put(self, group: WorkerGroup, expected: WorkerGroup | None) -> None:
        item, body = self._item, _body_of(group)
        is_as_read: Condition = item.pk.does_not_exist()
        if expected is not None:
            is_as_read = item.body == _body_of(expected)
        try:
            with answering(self._name):
                item(keys.WORKER_GROUPS_PK, group.name, body=body).save(is_as_read)
        except RefusedError:
            # An earlier try of ours may have arrived.
            if self._body(group.name) != body:
                raise ConflictError(
                    f"worker group {group.name!r} was changed at the same time: read it and try "
                    "again"
                ) from None

    def _body(self, name: str) -> str:
        try:
            return self._get(name).body
        except NotFoundError:
            return ""

    def _get(self, name: str) -> WorkerGroupItem:
        with answering(self._name):
            try:
                return self._item.get(keys.WORKER_GROUPS_PK, name, consistent_read=True)
            except self._item.DoesNotExist:
                raise NotFoundError(f"there is no worker group {name!r}") from None


def _body_of(group: WorkerGroup) -> str:
    return dumped(
        {
            "id": group.group_id,
            "created_at": stamp(group.created_at),
            "pools": group.scope.pools,
            "workspaces": group.scope.workspaces,
            "capabilities": group.capabilities,
            "revoked_at": _text(group.revoked_at),
            "tokens": [
                [one.token_id, one.digest, stamp(one.created_at), _text(one.expires_at)]
                for one in group.tokens
            ],
        }
    )


def _group_of(item: WorkerGroupItem) -> WorkerGroup:
    said: dict[str, Any] = json.loads(item.body)
    return WorkerGroup(
        group_id=said["id"],
        name=item.sk,
        created_at=parsed(said["created_at"]),
        scope=Scope(pools=_names(said["pools"]), workspaces=_names(said["workspaces"])),
        capabilities=_names(said["capabilities"]),
        revoked_at=_instant(said["revoked_at"]),
        tokens=tuple(
            WorkerToken(
                token_id=token_id,
                digest=digest,
                created_at=parsed(created_at),
                expires_at=_instant(expires_at),
            )
            for token_id, digest, created_at, expires_at in said["tokens"]
        ),
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parsed(text)


def _names(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)
