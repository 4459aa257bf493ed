"""What a view may return, and how it leaves. The one rule: a view says what, here is said how."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from chalice.app import Response
from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that needs a status or headers of its own; bytes are sent as they are."""

    body: BaseModel | bytes | None
    status: int = 200
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)


class Sent(Response):
    """An answer as it leaves: text is sent as text, and bytes as bytes, whatever their type.

    API Gateway gives bytes out as bytes only if every type counts as binary; Chalice would then
    encode texts too.
    """

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:  # noqa: ARG002 - Chalice's signature
        is_binary = isinstance(self.body, bytes)
        single = {name: value for name, value in self.headers.items() if isinstance(value, str)}
        return {
            "headers": single,
            # What stands in an answer more than once: cookies.
            "multiValueHeaders": {k: v for k, v in self.headers.items() if k not in single},
            "statusCode": self.status_code,
            "body": base64.b64encode(self.body).decode() if is_binary else self.body,
            "isBase64Encoded": is_binary,
        }


Answer: TypeAlias = "BaseModel | Reply | Response"


def response_of(answer: Answer, status: int) -> Response:
    """Return what Chalice sends; `status` is that of an answer that names none."""
    if isinstance(answer, Response):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(answer, status)
    if not isinstance(reply.body, BaseModel):
        return Response(reply.body or "", dict(reply.headers), reply.status)
    headers: dict[str, str | list[str]] = {"Content-Type": "application/json", **reply.headers}
    return Response(reply.body.model_dump_json(), headers, reply.status)
