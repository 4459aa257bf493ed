"""Cursors: opaque places in a list, good for the list that they came from only.

A cursor is signed with the installation's key. Without one it is only hashed: then a forged one
can name another place in the same list, which the caller may see anyhow.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest, digest
from urllib.parse import urlencode

from chalicelib.domain.errors import InvalidError
from chalicelib.engine.ports import ListPosition
from chalicelib.settings import access

_UNSIGNED = "stroem"
_TAG_BYTES = 12
_LONGEST = 512


def cursor_of(position: ListPosition, list_key: str) -> str:
    """Return the cursor of a place in the list that `list_key` names (its filter, as text)."""
    return sealed((position.created_at.isoformat(), position.job_id), list_key)


def position_of(cursor: str, list_key: str) -> ListPosition | None:
    """Return the place that a cursor names; None for an empty one: the list's beginning.

    Raises:
        InvalidError: it was not made here, or for another filter.
    """
    if not cursor:
        return None
    try:
        created_at, job_id = opened(cursor, list_key)
        return ListPosition(datetime.fromisoformat(created_at).astimezone(UTC), job_id)
    except (ValueError, TypeError) as error:
        raise _refused() from error


def sealed(place: Sequence[str], list_key: str) -> str:
    """Return the cursor of any place in the list that `list_key` names."""
    body = json.dumps([*place, _short(list_key)]).encode()
    return _coded(_tag(body) + body)


def opened(cursor: str, list_key: str) -> list[str]:
    """Return the place that `sealed` was given. Raises InvalidError as `position_of`."""
    try:
        content = base64.b64decode(_padded(cursor[:_LONGEST]), altchars=b"-_", validate=True)
        tag, body = content[:_TAG_BYTES], content[_TAG_BYTES:]
        if not compare_digest(tag, _tag(body)):
            raise _refused()
        *place, key = json.loads(body)
    except (ValueError, TypeError) as error:
        raise _refused() from error
    if key != _short(list_key):
        raise InvalidError(
            "the cursor belongs to a list with another filter: leave it out to start this one"
        )
    return [str(part) for part in place]


def next_link(path: str, params: Mapping[str, str], cursor: str) -> str:
    """Return the Link header of the next page. Source: RFC 8288."""
    query = {k: v for k, v in params.items() if k not in ("cursor", "offset")} | {"cursor": cursor}
    return f'<{path}?{urlencode(query)}>; rel="next"'


def _refused() -> InvalidError:
    return InvalidError("the cursor was not made here: take next_cursor as it came")


def _tag(body: bytes) -> bytes:
    key = access().cursor_key or _UNSIGNED
    return digest(key.encode(), body, "sha256")[:_TAG_BYTES]


def _short(list_key: str) -> str:
    return sha256(list_key.encode()).hexdigest()[:16]


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
