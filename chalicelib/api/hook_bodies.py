"""The body of a webhook as its type says: JSON, form, text, or bytes in base64.

One rule: what is read here can be kept: it is JSON of at most 50 levels, in well-formed Unicode.
Source: HTTP API, section 4.2; security, S22.
"""

from __future__ import annotations

import base64
import codecs
import json
from email.message import Message
from urllib.parse import parse_qs

from chalicelib.api.bodies import checked_json
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.values import JsonObject, JsonValue

_FORM = "application/x-www-form-urlencoded"
_BINARY = ("application/octet-stream", "image/", "audio/", "video/", "application/zip")
_MOST_FIELDS = 1000


def content_of(content_type: str | None, raw: bytes) -> JsonValue:
    """Return what a job reads as the body; None if there is none.

    Raises:
        InvalidError: it says that it is JSON or a form, and is none.
    """
    if not raw:
        return None
    said = Message()
    said["content-type"] = content_type or "text/plain"
    kind = said.get_content_type()
    if kind == "application/json" or kind.endswith("+json"):
        return _json(raw)
    if kind == _FORM:
        return _form(raw)
    if kind.startswith(_BINARY):
        return _binary(kind, raw)
    text = _text(raw, said.get_content_charset("utf-8"))
    return _binary(kind, raw) if text is None else text


def _json(raw: bytes) -> JsonValue:
    value: JsonValue = checked_json(raw)
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise InvalidError(
            "the body has half a surrogate pair, or a number that is too large"
        ) from None
    return value


def _form(raw: bytes) -> JsonObject:
    try:
        fields = parse_qs(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise InvalidError(f"the body is no form: {error}") from None
    return {
        name: values[0] if len(values) == 1 else list[JsonValue](values)
        for name, values in fields.items()
    }


def _text(raw: bytes, charset: str) -> str | None:
    """Return the text; None if the bytes are none."""
    try:
        codec = codecs.lookup(charset)
        text, _ = codec.decode(raw, "strict")
        text.encode()
    except (LookupError, UnicodeError, TypeError, AttributeError, ValueError):
        return None
    return text


def _binary(kind: str, raw: bytes) -> JsonObject:
    return {"base64": base64.b64encode(raw).decode(), "content_type": kind, "bytes": len(raw)}
