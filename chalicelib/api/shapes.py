"""What answers are made of everywhere: times as text, members that are left out when absent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from chalicelib.domain.logs import stamp

MAX_LIMIT = 200

Stamp = Annotated[
    datetime,
    PlainSerializer(stamp, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def absent(value: object) -> bool:
    """Say whether an optional member is left out."""
    return value is None


# A member that Strøm leaves out rather than giving null.
MaybeText = Annotated[str | None, Field(default=None, exclude_if=absent)]
MaybeNumber = Annotated[int | None, Field(default=None, exclude_if=absent)]
MaybeJson = Annotated[Any, Field(default=None, exclude_if=absent)]


def _clamped(value: object) -> object:
    try:
        return min(max(int(str(value)), 1), MAX_LIMIT)
    except ValueError:
        return value


# Out of bounds is drawn in silently: a client that asks for too much gets what there may be.
Limit = Annotated[int, BeforeValidator(_clamped)]
Offset = Annotated[int, Field(ge=0, le=10**9)]


class Shape(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class Status(Shape):
    """That it was done."""

    status: str = "ok"
