"""Small payloads stay in the item, large ones go to the object store with size and hash.

Source: decision 14.
"""

from __future__ import annotations

import json
from hashlib import sha256

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.values import BlobRef, JsonObject, JsonValue, Payload
from chalicelib.engine.ports import Blobs

INLINE_BYTES = 1024


def encode(value: JsonValue) -> bytes:
    """Return the value's compact JSON in UTF-8; equal values give equal bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def store_payload(blobs: Blobs, key: str, value: JsonValue) -> Payload:
    """Return the value inline when its JSON has at most 1 KB; else write it under `key` first."""
    content = encode(value)
    if len(content) <= INLINE_BYTES:
        return Payload(inline=value)
    return Payload(ref=store_blob(blobs, key, content))


def store_blob(blobs: Blobs, key: str, content: bytes) -> BlobRef:
    """Write the content and return a reference that tells later whether it is what was written."""
    blobs.put(key, content)
    return BlobRef(key, len(content), sha256(content).hexdigest())


def load_payload(blobs: Blobs, payload: Payload) -> JsonValue:
    """Return the payload's value.

    Raises:
        UnavailableError: the object is not what was written.
    """
    if payload.ref is None:
        return payload.inline
    value: JsonValue = json.loads(load_blob(blobs, payload.ref))
    return value


def load_object(blobs: Blobs, payload: Payload) -> JsonObject:
    """Return the payload's value where it is known to be an object; {} for an empty payload."""
    value = load_payload(blobs, payload)
    return value if isinstance(value, dict) else {}


def load_blob(blobs: Blobs, ref: BlobRef) -> bytes:
    """Return the content that `ref` names.

    Raises:
        UnavailableError: its size or hash is not what was written.
    """
    content = blobs.get(ref.key)
    if len(content) != ref.size or sha256(content).hexdigest() != ref.sha256:
        raise UnavailableError(f"the object {ref.key} is not what was written: its hash differs")
    return content
