"""What the parts of one batch of changes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.engine.engine import Engine
from chalicelib.engine.live.audience import Audience
from chalicelib.engine.live.sending import Figures


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. `pause` waits so many seconds, before a fresh connection is tried again.

    From `until` on, what is left to send of bare lines is left to another batch.
    """

    engine: Engine
    audience: Audience
    pause: Callable[[float], None]
    until: datetime
    figures: Figures = field(default_factory=Figures)

    def is_late(self) -> bool:
        """Say whether its time is over."""
        return self.engine.clock.now() >= self.until
