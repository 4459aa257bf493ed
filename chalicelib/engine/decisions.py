"""What the engine decides of a step whose turn has come."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.job import LoopRun
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.values import NO_PAYLOAD, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The status that the step has from now on, and what belongs to it.

    `lease` holds it; None for a fresh one. `tell`: its suspension has hooks to fire.
    """

    status: StepStatus
    error: str | None = None
    output: Payload = NO_PAYLOAD
    lease: str | None = None
    loop: LoopRun | None = None
    child: str | None = None
    tell: bool = False
