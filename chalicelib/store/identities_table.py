"""Who somebody is at a provider, on DynamoDB: one item for each issuer and subject.

One rule: an identity moves to another user only from the one that was read.
"""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.oidc import Identity
from chalicelib.store.dynamo import Item, RefusedError, answering, bind


class IdentityItem(Item):
    """The user whose it is."""

    user_id = UnicodeAttribute()


class IdentitiesTable:
    """Identities in the table `registry`; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(IdentityItem, name, region, host)

    def identity(self, issuer: str, subject: str) -> str:
        with answering(self._name):
            try:
                pk = keys.identities_pk(issuer)
                return self._item.get(pk, subject, consistent_read=True).user_id
            except self._item.DoesNotExist:
                raise NotFoundError(f"nobody is {subject!r} of {issuer}") from None

    def put_identity(self, identity: Identity, user_id: str, expected: str | None) -> None:
        is_as_read: Condition = self._item.pk.does_not_exist()
        if expected is not None:
            is_as_read = self._item.user_id == expected
        # An earlier try of ours may have arrived.
        is_there = self._item.user_id == user_id
        pk = keys.identities_pk(identity.issuer)
        try:
            with answering(self._name):
                self._item(pk, identity.subject, user_id=user_id).save(is_as_read | is_there)
        except RefusedError:
            raise ConflictError(
                f"{identity.subject!r} of {identity.issuer} came twice at a time: try again"
            ) from None
