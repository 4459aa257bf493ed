"""JSON values and the small types that everything else is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"


@dataclass(frozen=True, slots=True)
class StepRef:
    """Names one step of one job."""

    job_id: str
    step: str


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where a payload over 1 KB lives, and what must be found there."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Payload:
    """An output, input or error: inline when its JSON is at most 1 KB, else a reference.

    `ref` wins.

    Source: decision 14.
    """

    inline: JsonValue = None
    ref: BlobRef | None = None


NO_PAYLOAD = Payload()
