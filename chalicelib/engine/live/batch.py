"""What the parts of one batch of changes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.engine.engine import Engine
from chalicelib.engine.live.audience import Audience
from chalicelib.engine.live.sending import Figures


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. `pause` waits so many seconds, before a fresh connection is tried again."""

    engine: Engine
    audience: Audience
    pause: Callable[[float], None]
    figures: Figures = field(default_factory=Figures)
