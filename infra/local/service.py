"""Run MiniStack with one timing mended, in the emulator's own environment.

One rule: nothing but timing is changed, so that what holds here holds in AWS.
"""

import asyncio
import runpy
from typing import Any

from ministack.services import sqs

# SQS answers a waiting receive as soon as a message is there. MiniStack looks each 100 ms, which
# would be most of the time from a trigger to its first step.
LOOK_S = 0.01


class _Quick:
    """`asyncio` as MiniStack's queue module sees it."""

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(min(delay, LOOK_S))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands for a module
        return getattr(asyncio, name)


if __name__ == "__main__":
    sqs.asyncio = _Quick()
    runpy.run_module("ministack", run_name="__main__")
