"""Run MiniStack with two timings mended, in the emulator's own environment.

One rule: nothing but timing is changed, so that what holds here holds in AWS.
"""

import asyncio
import runpy
from typing import Any

from hypercorn.config import Config
from ministack.services import sqs

# SQS answers a waiting receive as soon as a message is there. MiniStack looks each 100 ms, which
# would be most of the time from a trigger to its first step.
LOOK_S = 0.01
# Workers are stopped before it, so nobody's open request is worth three seconds at each stop.
STOP_S = 0.2


class _Quick:
    """`asyncio` as MiniStack's queue module sees it."""

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(min(delay, LOOK_S))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands for a module
        return getattr(asyncio, name)


if __name__ == "__main__":
    sqs.asyncio = _Quick()
    Config.graceful_timeout = STOP_S
    runpy.run_module("ministack", run_name="__main__")
