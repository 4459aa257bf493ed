"""PynamoDB, bound to a place: how an item class gets its table, and what a fault of it means.

No error of PynamoDB or botocore leaves the store but a ValidationException, which is a fault of
ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import (
    CancellationReason,
    PynamoDBConnectionError,
    PynamoDBException,
    TransactWriteError,
)
from pynamodb.expressions.condition import Condition, size
from pynamodb.models import Model

from chalicelib.domain.errors import UnavailableError
from chalicelib.store.faults import code_of, unavailable

VERSION = 1

_CONNECT_S = 2
_READ_S = 5
_RETRIES = 4
_POOLED = 64
_REFUSED = "ConditionalCheckFailedException"
_OUR_FAULT = "ValidationException"
_CANCELED = "TransactionCanceledException"
_REFUSED_WITHIN = "ConditionalCheckFailed"
_CROSSED = ("TransactionConflict", "TransactionConflictException")


class RefusedError(Exception):
    """A condition did not hold; what that means, the item itself must tell."""


class CrossedError(UnavailableError):
    """Another write was about the same item as a transaction; nothing of it has happened."""


class Item(Model):
    """What every item has: its keys, and the version of the schema that it was written in."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    v = NumberAttribute(default=VERSION)


_I = TypeVar("_I", bound=Item)


def bind(item: type[_I], name: str, region: str, host: str | None) -> type[_I]:
    """Return a class of the item's kind that lives in the table `name`.

    All tables of one place share a client, and so its pool of connections: threads take turns on
    them, and a cold start pays for one client only.
    """
    meta = type("Meta", (), {"table_name": name, "region": region, "host": host})
    bound: Any = type(item.__name__, (item,), {"Meta": meta, "__module__": item.__module__})
    table = bound._get_connection()  # noqa: SLF001 - PynamoDB has no other way to hand one in
    shared = connection(region, host)
    known = shared._tables  # noqa: SLF001 - `add_meta_table` refuses a second
    # Several kinds of items share a table; only one that has its indexes knows them.
    if name not in known or bound._indexes:  # noqa: SLF001 - as above
        known[name] = table.get_meta_table()
    table.connection = shared
    result: type[_I] = bound
    return result


@cache
def connection(region: str, host: str | None) -> Connection:
    """Return the connection of this process to the place, with its client made."""
    made = Connection(
        region=region,
        host=host,
        connect_timeout_seconds=_CONNECT_S,
        read_timeout_seconds=_READ_S,
        max_retry_attempts=_RETRIES,
        max_pool_connections=_POOLED,
    )
    # Now, not at the first call: several threads might make one each.
    _ = made.client
    return made


def fewer_than(limit: int, attribute: Any) -> Condition:  # noqa: ANN401 - a path
    """Return what holds while the set is there and has fewer members than the limit."""
    is_smaller = size(attribute) < limit  # type: ignore[no-untyped-call] # PynamoDB's
    # moto stumbles over the size of what is not there.
    condition: Condition = attribute.exists() & is_smaller
    return condition


@contextmanager
def answering(table: str) -> Iterator[None]:
    """Turn the table's faults into ours.

    Raises:
        RefusedError: a condition did not hold.
        UnavailableError: the table did not answer; a write may or may not have happened.
    """
    try:
        yield
    except (PynamoDBConnectionError, TransactWriteError) as error:
        # Not `cause_response_code`: PynamoDB 6.1 stumbles there over a timeout, which has no code.
        cause = error.cause or error
        why = _why(error)
        if why in (_REFUSED, _REFUSED_WITHIN):
            raise RefusedError from error
        if why == _OUR_FAULT:
            raise
        failed = unavailable(f"the table {table}", cause)
        if why in _CROSSED:
            raise CrossedError(failed.message) from error
        raise failed from error


def _why(error: PynamoDBException) -> str:
    """Return the code of a fault; of a transaction, the one that says most."""
    code = code_of(error.cause or error)
    if code != _CANCELED or not isinstance(error, TransactWriteError):
        return code
    reasons: list[CancellationReason | None] = error.cancellation_reasons
    codes = {reason.code for reason in reasons if reason is not None}
    # A condition that fails is final, whatever else was in the way.
    wanted = (_REFUSED_WITHIN, *_CROSSED)
    return next((each for each in wanted if each in codes), code)
